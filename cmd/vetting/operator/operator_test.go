package operator_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	a := answers{"/api/v1/discovered": `{"discovered":[{"mac":"52:54:00:00:00:01","vendor":"\u001b[31mred\n\u202eled\u3164\ufe0f","arch":"=1+1","count":-3}]}`}

	out, err := say(t, a, "inbox", "list")
	if err != nil || strings.ContainsAny(out, "\x1b\u202e\u3164\ufe0f") || !strings.Contains(out, "?[31mred ?led??") {
		t.Errorf("%q %v", out, err)
	}

	out, err = say(t, a, "inbox", "list", "-o", "csv")
	if err != nil || !strings.Contains(out, ",'=1+1,") || !strings.Contains(out, ",-3,") {
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

// An inventory script prints what the appliance says, whole or of one host, and of a
// host that nobody knows nothing, as the protocol wants it.
func TestAnInventoryScript(t *testing.T) {
	a := answers{"/api/v1/ansible/inventory": `{"all_vetting":{"hosts":["a"]},"_meta":{"hostvars":{"a":{"vetting_rack":"B07/U12"}}}}`}

	for want, args := range map[string][]string{
		"{\n  \"all_vetting\": {": {"inventory", "--list"}, "{\n  \"vetting_rack\": \"B07/U12\"\n}\n": {"inventory", "--host", "a"}, "{}\n": {"inventory", "--host", "b"},
	} {
		if out, err := say(t, a, args...); err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("%v: %q %v", args, out, err)
		}
	}
}

// What is followed is told once, though the stream tells again what was read, and goes
// on after a break without reading anew.
func TestBootEventsAreFollowed(t *testing.T) {
	const read = `{"events":[{"name":"u17","step":{"time":"2026-11-23T10:00:01Z","mac":"52:54:00:00:00:01","kind":"offer","detail":"a\u001b[31m"}},` +
		`{"name":"u17","step":{"time":"2026-11-23T10:00:00Z","mac":"52:54:00:00:00:01","kind":"discover"}}]}`

	boot := func(id int, second, kind string) string {
		return fmt.Sprintf("id: %d\nevent: boot\ndata: {\"kind\":\"boot\",\"data\":{\"steps\":[{\"time\":\"2026-11-23T10:00:%sZ\",\"mac\":\"52:54:00:00:00:01\",\"kind\":%q}]}}\n\n", id, second, kind)
	}

	var streams, reads int

	ctx, enough := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/netboot/events":
			reads++

			fmt.Fprint(w, read)
		default:
			switch streams++; streams {
			case 1:
				fmt.Fprint(w, boot(7, "01", "offer")+boot(8, "02", "request"))
			case 2:
				fmt.Fprint(w, boot(9, "03", "ack"))
			default:
				enough()
			}
		}
	}))

	defer server.Close()

	var printed bytes.Buffer

	root := &cobra.Command{Use: "netboot", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(operator.Netboot(operator.Env{
		Out: &printed, Errs: io.Discard, Reach: func(*cobra.Command) {},
		Connect: func(*cobra.Command) (*client.Client, error) { return client.New(server.URL, "", "") },
	})...)
	root.SetArgs([]string{"events", "-f"})

	if err := root.ExecuteContext(ctx); err != nil {
		t.Fatal(err)
	}

	var kinds []string
	for line := range strings.Lines(printed.String()) {
		kinds = append(kinds, strings.Fields(line)[4])
	}

	if want := "discover offer request ack"; strings.Join(kinds, " ") != want || reads != 1 || strings.Contains(printed.String(), "\x1b") || strings.Count(printed.String(), "u17") != 4 {
		t.Errorf("%q after %d reads", printed.String(), reads)
	}
}
