package main

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/profile"
)

// told sends a request to the console of an appliance that runs.
func told(t *testing.T, a *appliance, token, method, path, kind, body string) (int, string) {
	t.Helper()

	client := http.Client{Transport: insecure(), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()

	request, err := http.NewRequestWithContext(t.Context(), method, a.ui.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}

	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Sec-Fetch-Site", "same-origin")

	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()

	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}

	return answer.StatusCode, string(text) + answer.Header.Get("Location")
}

// A profile is written in the console as a form and as text, looked at, and saved.
func TestAProfileIsWrittenInTheConsole(t *testing.T) {
	a := deskAppliance(t, t.TempDir(), nil)

	token, err := a.ui.CreateToken(t.Context(), "test", "admin")
	if err != nil {
		t.Fatal(err)
	}

	send := func(fields ...string) (int, string) {
		t.Helper()

		form := url.Values{}
		for i := 0; i+1 < len(fields); i += 2 {
			form.Add(fields[i], fields[i+1])
		}

		return told(t, a, token, http.MethodPost, "/profile-editor", "application/x-www-form-urlencoded", form.Encode())
	}

	steps := []struct {
		name   string
		fields []string
		status int
		says   []string
	}{
		{"the form becomes a text", []string{"do", "text", "view", "form", "name", "receiving", "extends", "quick", "set.SMART.self_test", "extended"}, 200, []string{"extends: quick", "SMART.self_test: extended"}},
		{"a fault has line and column", []string{"do", "check", "view", "text", "name", "receiving", "text", "extends: quick\nconfig:\n  SMART.self_tset: none\n"}, 422, []string{"[3:3]", "SMART.self_tset"}},
		{"so has one of YAML", []string{"do", "check", "view", "text", "name", "receiving", "text", "extends: quick\nstage: [SMART]\n"}, 422, []string{"[2:1]", "did you mean"}},
		{"a name that is taken", []string{"do", "check", "view", "text", "name", "deep", "text", "extends: quick\n"}, 409, []string{"Save a copy under another name"}},
		{"what changes is shown", []string{"do", "check", "view", "form", "name", "receiving", "extends", "quick", "set.SMART.self_test", "extended"}, 200, []string{"What changes", "SMART.self_test", "short", "Save the profile"}},
		{"stages that were ticked count", []string{"do", "text", "view", "form", "name", "receiving", "extends", "quick", "shown", "InventoryCheck,SMART,Reporting", "stage", "InventoryCheck", "stage", "Reporting"}, 200, []string{"- InventoryCheck", "- Reporting"}},
		{"a number that is none", []string{"do", "check", "view", "form", "name", "receiving", "extends", "quick", "scale", "half"}, 422, []string{"which is no number"}},
		{"it is saved", []string{"do", "save", "view", "text", "version", "0", "name", "receiving", "text", "# why\nextends: quick\nconfig: {SMART.self_test: extended}\n"}, 303, []string{"/profiles/receiving?done=profile"}},
		{"somebody else was faster", []string{"do", "save", "view", "text", "version", "0", "name", "receiving", "text", "extends: deep\n"}, 409, []string{"version 1 by now"}},
		{"a form that changes nothing keeps comments", []string{"do", "text", "view", "form", "name", "receiving", "version", "1", "extends", "quick", "set.SMART.self_test", "extended", "text", "# why\nextends: quick\nconfig: {SMART.self_test: extended}\n"}, 200, []string{"# why"}},
	}

	for _, step := range steps {
		status, said := send(step.fields...)
		if status != step.status {
			t.Errorf("%s: status %d, want %d", step.name, status, step.status)
		}

		for _, word := range step.says {
			if !strings.Contains(said, word) {
				t.Errorf("%s: %q is not said", step.name, word)
			}
		}
	}

	for _, p := range a.engine.Profiles() {
		if p.Name == "receiving" && (p.Config[profile.SelfTest] != "extended" || len(p.Rules) == 0) {
			t.Errorf("what was saved: %+v", p)
		}
	}

	for _, ask := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{http.MethodGet, "/api/v1/profiles/receiving", "", 200, `"version":1`},
		{http.MethodPut, "/api/v1/profiles/receiving?version=1", "extends: soak\n", 200, `"version":2`},
		{http.MethodPost, "/api/v1/profiles/other/check", "extends: nobody\n", 422, "there is no profile"},
		{http.MethodGet, "/api/v1/profiles/receiving/estimate", "", 200, `"models":[]`},
		{http.MethodGet, "/profiles/receiving", "", 200, "Version 2 by"},
		{http.MethodGet, "/profiles/quick", "", 200, "Shipped with the appliance"},
		{http.MethodDelete, "/api/v1/profiles/quick", "", 409, "cannot be removed here"},
		{http.MethodDelete, "/api/v1/profiles/receiving", "", 204, ""},
		{http.MethodGet, "/api/v1/profiles/receiving", "", 404, "no such profile"},
	} {
		status, said := told(t, a, token, ask.method, ask.path, "application/yaml", ask.body)
		if status != ask.status || !strings.Contains(said, ask.says) {
			t.Errorf("%s %s: %d %.300s", ask.method, ask.path, status, said)
		}
	}
}

// What is written of a draft reads as the same draft, and no text breaks the reader.
func FuzzProfileText(f *testing.F) {
	f.Add("extends: quick\nconfig: {SMART.self_test: none}\nthresholds: [{id: a, stage: '*', key: disk/*/temperature_celsius, op: lt, value: 5, severity: info, for: 10s}]\n")
	f.Add("stages: [InventoryCheck, Reporting]\nscale: 0.5\ndescription: |\n  two\n  lines\n")
	f.Add("stages: &a [*a]\n")
	f.Add(endlessProfile)
	f.Add(endlessMerge)
	f.Add(deep())

	f.Fuzz(func(t *testing.T, text string) {
		d, err := profileTexts{}.Read(text)
		if err != nil {
			return
		}

		_, unfit := profile.Resolve(profile.Defaults(), map[string]*core.ProfileDraft{"x": &d})
		if why := unfit["x"]; why != nil {
			_ = profileTexts{}.Place(text, why)

			return
		}

		again, err := profileTexts{}.Write(d)
		if err != nil {
			t.Fatal(err)
		}

		back, err := profileTexts{}.Read(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, again)
		}

		if _, unfit := profile.Resolve(profile.Defaults(), map[string]*core.ProfileDraft{"x": &back}); unfit["x"] != nil {
			t.Fatalf("what was written makes no sense: %v\n%s", unfit["x"], again)
		}
	})
}
