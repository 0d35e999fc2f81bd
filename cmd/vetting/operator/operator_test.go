package operator_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/cmd/vetting/operator"
)

// answers is an appliance that says what it was told to, by path.
type answers map[string]string

func (a answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, ok := a[r.URL.RequestURI()]
	if !ok {
		text, ok = a[r.URL.Path]
	}

	if code, rest, broken := strings.Cut(text, "!"); broken && code == "503" {
		w.WriteHeader(http.StatusServiceUnavailable)

		text = rest
	}

	if !ok {
		w.WriteHeader(http.StatusNotFound)
	}

	_, _ = w.Write([]byte(text))
}

// say carries out a command line against an appliance.
func say(t *testing.T, a answers, args ...string) (out string, err error) {
	t.Helper()

	server := httptest.NewServer(a)
	defer server.Close()

	var printed, errs bytes.Buffer

	root := &cobra.Command{Use: "vetting", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(operator.Commands(operator.Env{
		Out: &printed, Errs: &errs, Reach: func(*cobra.Command) {},
		Connect: func(*cobra.Command) (*client.Client, error) { return client.New(server.URL, "", "") },
	})...)
	root.SetArgs(args)

	err = root.ExecuteContext(t.Context())

	return printed.String(), err
}

// What a machine under test calls itself neither steers the terminal nor calculates
// in a spreadsheet.
func TestTextOfHostsIsHarmless(t *testing.T) {
	a := answers{"/api/v1/discovered": `{"discovered":[{"mac":"52:54:00:00:00:01","vendor":"\u001b[31mred\n\u202eled","arch":"=1+1","count":-3}]}`}

	out, err := say(t, a, "inbox", "list")
	if err != nil || strings.ContainsAny(out, "\x1b\u202e") || !strings.Contains(out, "?[31mred ?led") {
		t.Errorf("%q %v", out, err)
	}

	out, err = say(t, a, "inbox", "list", "-o", "csv")
	if err != nil || !strings.Contains(out, ",'=1+1,") || !strings.Contains(out, ",-3\n") {
		t.Errorf("%q %v", out, err)
	}
}

// All pages are one list, whatever the server thinks of a limit.
func TestPagesArePutTogether(t *testing.T) {
	a := answers{
		"/api/v1/runs?limit=500":                `{"runs":[{"id":"C"},{"id":"B"}],"next_page_token":"t"}`,
		"/api/v1/runs?limit=500&page_token=t":   `{"runs":[],"next_page_token":"tt"}`,
		"/api/v1/runs?limit=500&page_token=tt":  `{"runs":[{"id":"A"}]}`,
		"/api/v1/runs?limit=1":                  `{"runs":[{"id":"C"},{"id":"B"}],"next_page_token":"t"}`,
		"/api/v1/runs?limit=500&state=Released": `{"runs":[]}`,
	}

	for want, args := range map[string][]string{
		"C\nB\nA\n":              {"run", "list", "-o", "name"},
		"C\n":                    {"run", "list", "-o", "name", "--limit", "1"},
		"{\n  \"runs\": []\n}\n": {"run", "list", "-o", "json", "--state", "Released"},
		"runs: []\n":             {"run", "list", "-o", "yaml", "--state", "Released"},
		"":                       {"run", "list", "-q"},
	} {
		if out, err := say(t, a, args...); err != nil || out != want {
			t.Errorf("%v: %q %v", args, out, err)
		}
	}
}

// A name that several hosts have is not guessed at.
func TestANameOfSeveralHostsIsNotGuessedAt(t *testing.T) {
	a := answers{
		"/api/v1/hosts": `{"hosts":[{"mac":"52:54:00:00:00:01","name":"a","asset_tag":"b"},{"mac":"52:54:00:00:00:02","name":"b"},` +
			`{"mac":"52:54:00:00:00:03","name":"A","asset_tag":"x"},{"mac":"52:54:00:00:00:04","name":"c","asset_tag":"X"}]}`,
		"/api/v1/hosts/52:54:00:00:00:01": `{"mac":"52:54:00:00:00:01"}`,
		"/api/v1/hosts/52:54:00:00:00:02": `{"mac":"52:54:00:00:00:02"}`,
		"/api/v1/hosts/52:54:00:00:00:03": `{"mac":"52:54:00:00:00:03"}`,
	}

	for name, want := range map[string]string{"a": "01", "A": "03", "b": "02", "B": "02"} {
		if out, err := say(t, a, "host", "show", name, "-o", "name"); err != nil || out != "52:54:00:00:00:"+want+"\n" {
			t.Errorf("%s: %q %v", name, out, err)
		}
	}

	_, err := say(t, a, "host", "show", "x")

	var exit *operator.Exit
	if !errors.As(err, &exit) || exit.Code != operator.Usage || !strings.Contains(err.Error(), "52:54:00:00:00:03, 52:54:00:00:00:04") {
		t.Error(err)
	}
}

// An appliance that is not ready says so, and fails the command.
func TestStatusTellsWhatIsNotReady(t *testing.T) {
	a := answers{
		"/readyz":            `503!{"status":"unready","checks":[{"name":"netboot","ok":false,"detail":"no cable"}]}`,
		"/api/v1/hosts":      `{"hosts":[{"mac":"52:54:00:00:00:01"}]}`,
		"/api/v1/discovered": `{"discovered":[]}`,
		"/api/v1/runs":       `{"runs":[]}`,
	}

	out, err := say(t, a, "status")

	var exit *operator.Exit
	if !errors.As(err, &exit) || exit.Code != operator.Failed || !strings.Contains(out, "unready") || !strings.Contains(out, "no cable") {
		t.Errorf("%q %v", out, err)
	}
}

// Groups of Ansible have names that Ansible takes.
func TestGroupsOfAnsible(t *testing.T) {
	a := answers{"/api/v1/hosts": `{"hosts":[{"mac":"52:54:00:00:00:01","name":"a","rack":"B07/U12","class":"R 640","tags":["dc-1"],"last_verdict":"pass"}]}`}

	out, err := say(t, a, "inventory", "--list")
	if err != nil {
		t.Fatal(err)
	}

	for _, want := range []string{`"rack_b07_u12"`, `"class_r_640"`, `"tag_dc_1"`, `"verdict_pass"`, `"vetting_rack": "B07/U12"`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing in %s", want, out)
		}
	}
}
