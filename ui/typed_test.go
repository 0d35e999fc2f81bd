package ui_test

import (
	"strings"
	"testing"

	"vetting/core/route"
	"vetting/ui/canned"
)

// Who is refused and sends the form again must not give another role or scope than they chose.
func TestARefusedFormKeepsWhatWasChosen(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	cookie := b.signIn()

	for name, c := range map[string]struct{ path, form, want string }{
		"a role":  {"/people", "name=A+B&role=" + string(route.Administrator), `<option value="` + string(route.Administrator) + `" selected>`},
		"a scope": {"/settings/tokens", "name=&scope=operate", `<option value="operate" selected>`},
	} {
		got := b.ask("POST", c.path, c.form, "Cookie", cookie, "Sec-Fetch-Site", "same-origin")

		_, form, _ := strings.Cut(got.body, map[string]string{"a role": `id="person-role"`, "a scope": `id="token-scope"`}[name])
		if form, _, _ = strings.Cut(form, "</select>"); got.status < 400 || !strings.Contains(form, c.want) {
			t.Errorf("%s: %d %s", name, got.status, form)
		}
	}
}
