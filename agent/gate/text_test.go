package gate_test

import (
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"vetting/agent/gate"
	"vetting/agent/gate/gatetest"
	"vetting/agent/wire"
)

func TestText(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"plain":                            {"Samsung SSD 980", "Samsung SSD 980"},
		"umlauts and signs stay":           {"31 °C für Größe", "31 °C für Größe"},
		"colours go":                       {"\x1b[31mred\x1b[0m", "red"},
		"a title goes, closed by BEL":      {"\x1b]0;x\ay", "y"},
		"a title goes, closed by ST":       {"\x1b]0;x\x1b\\y", "y"},
		"a title that is never closed":     {"a\x1b]0;x", "a"},
		"a sequence that is broken off":    {"\x1b[31\x01mx", "mx"},
		"an escape before a letter":        {"\x1bcx", "x"},
		"an escape before an umlaut":       {"\x1büx", "üx"},
		"an escape at the end":             {"x\x1b", "x"},
		"line ends and tabs are spaces":    {"a\nb\tc", "a b c"},
		"carriage returns go":              {"a\rb", "ab"},
		"C1 controls go":                   {"a\u009b1mb", "a1mb"},
		"what turns the direction goes":    {"a\u202egpj.exe", "agpj.exe"},
		"what cannot be seen goes":         {"a\u200bb\ufeff", "ab"},
		"bytes that are no UTF-8":          {"a\xffb", "a\ufffdb"},
		"what is too long is cut at runes": {strings.Repeat("ü", 20), strings.Repeat("ü", 16)},
	}

	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := gate.Text(tt.in, 32); got != tt.want {
				t.Errorf("text(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{"", "\x1b", "\x1b[31mred", "\x1b]0;t\a", "\x1b[\xff", "\u202e\u2028", "\x1bP\x1b\\", strings.Repeat("é", 40)} {
		f.Add(seed)
	}

	f.Fuzz(func(t *testing.T, in string) {
		got := gate.Text(in, 32)

		if len(got) > 32 || !utf8.ValidString(got) {
			t.Errorf("text(%q) = %q", in, got)
		}

		if i := strings.IndexFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }); i >= 0 {
			t.Errorf("text(%q) keeps %q", in, got[i:])
		}

		if again := gate.Text(got, 32); again != got {
			t.Errorf("text(%q) = %q, and again %q", in, got, again)
		}

		if lines := gate.Prose(in, 32); strings.ReplaceAll(lines, "\n", " ") != got {
			t.Errorf("prose(%q) = %q, text %q", in, lines, got)
		}
	})
}

func TestElementsAreCountedOutsideOfStringsOnly(t *testing.T) {
	tests := map[string]int{
		``: 0, `{}`: 1, `[1,2,3]`: 3, `{"a":",,,[{"}`: 1, `{"a":"\"[,"}`: 1, `{"a":"\\",b":1}`: 2, `"`: 0, `"\`: 0,
	}

	for body, want := range tests {
		if got := gate.Elements([]byte(body)); got != want {
			t.Errorf("elements(%s) = %d, want %d", body, got, want)
		}
	}
}

// FuzzCalls sends foreign bytes to each call with the right token: the answer is
// always a status of the contract with a body of the contract.
func FuzzCalls(f *testing.F) {
	routes := wire.Routes()
	for i, route := range routes {
		f.Add(uint8(i), []byte(bodies()[route.Name]))
	}

	f.Add(uint8(5), []byte(`{"seq":1,"stage":"InventoryCheck","verdict":"pass","inventory":{"nics":[{"mac":"x"}]}}`))

	known := map[int]bool{200: true, 400: true, 403: true, 409: true, 410: true, 413: true, 422: true, 429: true}

	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		route := routes[int(which)%len(routes)]
		d := newDesk(t)

		token := d.book.BootToken
		if route.Auth == wire.AuthSession {
			d.claimed(t)

			token = "session 1"
		}

		got := d.do(request(string(gatetest.RunID), target(route.Name), token, strings.NewReader(string(body))))
		if !known[got.Code] {
			t.Errorf("%s: %d %s", route.Name, got.Code, got.Body)
		}

		if got.Code != http.StatusOK {
			codeOf(t, got)
		}
	})
}
