package ui_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/canned"
)

// Which light is asked for reaches the engine, by the API and from the page of a hold; a
// wish that makes no sense does not.
func TestALightIsAskedForByTheAPIAndOnThePageOfAHold(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	held, operator := "/runs/"+string(canned.Run[:25]+"2"), b.member("otto", route.Operator)

	var (
		wishes []core.LightWish
		ops    []core.PowerOp
		busy   error
	)

	b.commands.OnLight = func(_ core.MAC, wish core.LightWish) (core.Light, error) {
		wishes = append(wishes, wish)

		return core.Light{Kind: wish.Kind, Name: wish.Name, Until: canned.Now().Add(time.Minute)}, busy
	}
	b.commands.OnPower = func(_ core.MAC, op core.PowerOp) (core.PowerState, error) {
		ops = append(ops, op)

		return "", nil
	}

	const path = "/api/v1/hosts/52:54:00:00:00:11/locate"

	auth := "Bearer " + b.token("operate")

	for _, c := range []struct {
		body, says string
		status     int
	}{
		{`{"disk":"S1","seconds":90}`, `"kind":"disk","name":"S1","until":"`, http.StatusOK},
		{`{"nic":"eth0","off":true}`, `"kind":"nic","name":"eth0"`, http.StatusOK},
		{`{}`, `"kind":"chassis"`, http.StatusOK},
		{`{"off":true}`, `"kind":"chassis","off":true`, http.StatusOK},
		{`{"disk":"S1","nic":"eth0"}`, "not both", http.StatusUnprocessableEntity},
		{`{"disk":"S1","seconds":601}`, "1 to 600 seconds", http.StatusUnprocessableEntity},
		{`{"disk":"S1","seconds":-1}`, "1 to 600 seconds", http.StatusUnprocessableEntity},
		{`{"seconds":5}`, "until it is switched off", http.StatusUnprocessableEntity},
	} {
		if got := b.ask("POST", path, c.body, "Authorization", auth); got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: %d %s", c.body, got.status, got.body)
		}
	}

	if len(wishes) != 2 || wishes[0].For != 90*time.Second || wishes[0].Off || !wishes[1].Off || wishes[1].Kind != core.LightNIC {
		t.Errorf("asked for %+v", wishes)
	}

	if len(ops) != 2 || ops[0] != core.PowerLocate || ops[1] != core.PowerLocateOff {
		t.Errorf("of the machine: %q", ops)
	}

	page := b.ask("GET", held+"/hold", "", "Cookie", operator)
	if !strings.Contains(page.body, `action="`+held+`/light"`) || !strings.Contains(page.body, `name="nic" value="`) || !strings.Contains(page.body, `name="disk" value="`) {
		t.Error("the page of the hold offers no light")
	}

	press := func(form string) answer {
		return b.ask("POST", held+"/light", form, "Cookie", operator, "Sec-Fetch-Site", "same-origin")
	}

	if got := press("disk=S9"); got.status != http.StatusSeeOther || len(wishes) != 3 || wishes[2].Name != "S9" ||
		!strings.Contains(b.ask("GET", got.header.Get("Location"), "", "Cookie", operator).body, "next sign of life") {
		t.Errorf("the button: %d, %+v", got.status, wishes)
	}

	busy = core.NewProblem(core.ErrConflict, "hold/agent-silent", "The host's agent is not heard.")
	if got := press("disk=S9"); got.status != http.StatusConflict || !strings.Contains(got.body, "agent is not heard") {
		t.Errorf("refused: %d", got.status)
	}

	if got := press(""); got.status != http.StatusUnprocessableEntity || len(ops) != 2 {
		t.Errorf("nothing chosen: %d", got.status)
	}
}
