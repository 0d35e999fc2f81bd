package engine_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/core"
	"vetting/core/coretest"
)

// A part of a held host is named with every order from when its light is to be on, with the time
// at which it ends, and with none before, or while a stage measures.
func TestALightIsAskedForOnlyWhileTheHostIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), nil)
		mac, disk := coretest.MAC(1), core.LightWish{Kind: core.LightDisk, Name: "QM00001"}
		ask := func(wish core.LightWish) string {
			_, err := r.LightPart(t.Context(), "ann", mac, wish)

			return codeOf(err)
		}

		if got := ask(disk); got != "host/not-found" {
			t.Errorf("of no host: %q", got)
		}

		r.host(1)

		if got := ask(disk); got != "hold/wrong-state" {
			t.Errorf("without a run: %q", got)
		}

		id := r.start(1)
		m := r.machine(1)
		m.boot()

		// Why matters: whoever reads it is to wait, and not to end the stage.
		if _, err := r.LightPart(t.Context(), "ann", mac, disk); codeOf(err) != "hold/wrong-state" || !strings.Contains(err.Error(), "disturbs no measurement") {
			t.Errorf("in a stage: %v", err)
		}

		if o, err := m.beat(core.InventoryCheck); err != nil || o.Light != nil {
			t.Errorf("in a stage: %+v, %v", o.Light, err)
		}

		res := m.passing(core.InventoryCheck)
		res.Verdict = core.Error

		if _, err := m.send(res); err != nil {
			t.Fatal(err)
		}

		if got := ask(disk); got != "hold/not-open" {
			t.Errorf("before the agent has opened: %q", got)
		}

		if _, err := r.HoldOpened(context.Background(), id, m.token, core.HoldCall{IP: "10.77.0.50", SSHHostKey: hostLine(1)}); err != nil {
			t.Fatal(err)
		}

		for wish, want := range map[core.LightWish]string{
			{Kind: "fan", Name: "1"}:               "hold/bad-light",
			{Kind: core.LightDisk}:                 "hold/bad-light",
			{Kind: core.LightNIC, Name: "a\x1b[m"}: "hold/bad-light",
			{Kind: core.LightNIC, Name: "eth0", For: core.LightMost + time.Second}: "hold/bad-light",
			{Kind: core.LightNIC, Name: "eth0", For: -time.Second}:                 "hold/bad-light",
		} {
			if got := ask(wish); got != want {
				t.Errorf("%+v: %q", wish, got)
			}
		}

		light, err := r.LightPart(t.Context(), "ann", mac, disk)
		if err != nil || light.Name != "QM00001" || light.By != "ann" || light.Until.Sub(r.clock.Now()) != core.LightFor {
			t.Fatalf("%+v, %v", light, err)
		}

		if o, err := m.beat(""); err != nil || o.Cmd != core.CmdAbort || o.Light == nil || o.Light.Name != "QM00001" {
			t.Fatalf("%+v, %v", o, err)
		}

		r.pass(core.LightFor)

		// An agent that was started since then has to put it out.
		if o, err := m.beat(""); err != nil || o.Light == nil || !o.Light.Until.Equal(light.Until) || o.Light.Until.After(r.clock.Now()) {
			t.Errorf("after its time: %+v, %v", o.Light, err)
		}

		if got := ask(core.LightWish{Kind: core.LightNIC, Name: "eth0", For: core.LightMost}); got != codeOf(nil) {
			t.Fatal(got)
		}

		if o, err := m.beat(""); err != nil || o.Light == nil || o.Light.Kind != core.LightNIC {
			t.Errorf("%+v, %v", o.Light, err)
		}

		if got := ask(core.LightWish{Off: true}); got != codeOf(nil) {
			t.Fatal(got)
		}

		if o, err := m.beat(""); err != nil || o.Light != nil {
			t.Errorf("after it was switched off: %+v, %v", o.Light, err)
		}

		var said []string
		for _, e := range r.events(core.EventNotice) {
			var n core.Notice
			if json.Unmarshal(e.Data, &n) == nil && strings.Contains(n.Text, "light") {
				said = append(said, n.Text)
			}
		}

		if len(said) != 3 || !strings.Contains(said[0], "disk QM00001") || !strings.Contains(said[2], "no light") {
			t.Errorf("the trail says %q", said)
		}
	})
}

// An agent that is not heard is told nothing, and whoever asks is told so.
func TestASilentHostIsAskedForNoLight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, coretest.NewLedger(), nil)
		m, id := r.held(1)

		if _, err := r.HoldOpened(context.Background(), id, m.token, core.HoldCall{IP: "10.77.0.50", SSHHostKey: hostLine(1)}); err != nil {
			t.Fatal(err)
		}

		if _, err := m.beat(""); err != nil {
			t.Fatal(err)
		}

		r.pass(2 * time.Minute)

		if _, err := r.LightPart(t.Context(), "ann", coretest.MAC(1), core.LightWish{Kind: core.LightDisk, Name: "S"}); codeOf(err) != "hold/agent-silent" {
			t.Errorf("a silent agent: %v", err)
		}
	})
}
