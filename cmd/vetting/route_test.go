package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"vetting/core/route"
)

// A route that the table has and the real appliance does not answer would be a
// promise of the API's document that nobody keeps.
func TestTheApplianceAnswersEveryRoute(t *testing.T) {
	a := deskAppliance(t, t.TempDir(), nil)

	token, err := a.ui.CreateToken(t.Context(), "test", "admin")
	if err != nil {
		t.Fatal(err)
	}

	client := http.Client{Transport: insecure()}
	defer client.CloseIdleConnections()

	for _, r := range route.Table() {
		t.Run(r.Name, func(t *testing.T) {
			path := regexp.MustCompile(`\{[a-z_0-9]+\}`).ReplaceAllString(r.Path, "52:54:00:00:00:01")

			request, err := http.NewRequestWithContext(t.Context(), r.Method, a.ui.URL()+path, strings.NewReader("{"))
			if err != nil {
				t.Fatal(err)
			}

			request.Header.Set("Authorization", "Bearer "+token)
			request.Header.Set("Content-Type", r.ReqType)

			answer, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}

			defer answer.Body.Close()

			if r.OK.Type == route.Stream && answer.StatusCode == http.StatusOK {
				return // it does not end by itself
			}

			var said [64 << 10]byte

			n, _ := answer.Body.Read(said[:])
			if answer.StatusCode == http.StatusMethodNotAllowed || strings.Contains(string(said[:n]), "console/no-such-page") {
				t.Errorf("%s %s: nobody answers: %.300s", r.Method, path, said[:n])
			}
		})
	}
}
