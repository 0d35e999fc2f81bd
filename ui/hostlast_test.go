package ui_test

import (
	"strings"
	"testing"

	"vetting/ui/canned"
)

// The page of a host says what its last run came to: which part to pull, and what next.
func TestAHostSaysWhatItsLastRunCameTo(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, nil)

	for host, want := range map[string]struct {
		words []string
		hold  bool // the way to the decision is for who may decide
	}{
		"12": {[]string{"This host needs a decision", "Reseat the module in A3"}, true},
		"14": {[]string{"FAIL", "serial ZC1ACZ3310", "Replace the disk.", `href="/runs/01JD4X00000000000000000014/report"`}, false},
		"15": {[]string{"PASS", "Nothing was found in what was tested."}, false},
	} {
		for _, role := range []string{"read", "operate"} {
			page := b.ask("GET", "/hosts/52:54:00:00:00:"+host, "", "Authorization", "Bearer "+b.token(role)).body
			_, card, _ := strings.Cut(page, `id="host-last"`)
			card, _, _ = strings.Cut(card, `id="host-power"`)

			for _, words := range want.words {
				if !strings.Contains(card, words) {
					t.Errorf("%s, %s: %q is not told", host, role, words)
				}
			}

			if got := strings.Contains(card, `id="decide-here"`); got != (want.hold && role == "operate") {
				t.Errorf("%s, %s: the decision is offered: %t", host, role, got)
			}
		}
	}

	for _, host := range []string{"16", "18"} { // under way, and never vetted
		if page := b.ask("GET", "/hosts/52:54:00:00:00:"+host, "", "Authorization", "Bearer "+b.token("read")).body; strings.Contains(page, "Nothing was found") {
			t.Errorf("%s says that nothing was found, and nothing has ended", host)
		}
	}
}
