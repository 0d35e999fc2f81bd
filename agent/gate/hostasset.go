package gate

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the installer
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"vetting/core"
)

// Where an installed machine gets its agent.
const (
	QuickPath = "/register/quick.sh"
	AgentPath = "/assets/vetting-agent-linux-amd64"
)

//go:embed quick.sh
var quickTemplate string //nolint:gochecknoglobals // embedded, never changed

// shelf holds what installs the agent.
type shelf struct {
	program []byte
	digest  string // SHA-256 of program, hex
	spki    string
}

func newShelf(program []byte, spki string) *shelf {
	return &shelf{program: program, digest: Digest(program), spki: spki}
}

// Digest returns the SHA-256 of a program in hex, as the installer wants it.
func Digest(program []byte) string {
	sum := sha256.Sum256(program)

	return hex.EncodeToString(sum[:])
}

// QuickLine returns the line for a person to paste on an installed host: it
// trusts the listener with the key spki ([SPKI]) at host (an address or name,
// with a port unless it is 443) and installs the program with that digest. It is
// empty where host could not stand in a line for the shell.
func QuickLine(host, spki, digest string) string {
	raw, err := hex.DecodeString(spki)
	if err != nil || !plainHost(host) {
		return ""
	}

	return "curl -fsSk --pinnedpubkey 'sha256//" + base64.StdEncoding.EncodeToString(raw) + "' 'https://" + host + QuickPath +
		"' | sudo sh -s -- " + digest
}

// serving does for both files what must not be forgotten for any.
func (g *hostGate) serving(file func(host string) (name string, content []byte, tag string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log := func() *slog.Logger { return g.Log }
		defer g.recoverPanic(w, log)

		done, err := g.limiter.enter("file " + remoteAddr(r))
		if err != nil {
			g.refuse(w, r, log, err)

			return
		}
		defer done()

		if g.shelf.program == nil || !plainHost(r.Host) {
			writeFault(w, http.StatusNotFound, core.NewProblem(core.ErrNotFound, "agent/no-program",
				"This appliance was built without the agent for installed hosts; take one that make build has made."))

			return
		}

		kind, content, tag := file(r.Host)
		h := w.Header()
		h.Set("Content-Type", kind)
		h.Set("ETag", `"`+tag+`"`)
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	})
}

func (s *shelf) programFor(string) (kind string, content []byte, tag string) {
	return "application/octet-stream", s.program, s.digest
}

// quick returns the installer with the address it was asked for at, which is how
// the machine reaches us.
func (s *shelf) quick(host string) (kind string, content []byte, tag string) {
	script := strings.NewReplacer("@APPLIANCE@", "https://"+host, "@PIN@", s.spki, "@SHA256@", s.digest, "@PROGRAM@", AgentPath).
		Replace(quickTemplate)

	return "text/x-shellscript; charset=utf-8", []byte(script), Digest([]byte(script))
}

// plainHost reports whether a Host header may stand in a script: an address or
// name with a port, and nothing a shell could read otherwise.
func plainHost(host string) bool {
	for _, c := range []byte(host) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(".-:[]", rune(c)) {
			return false
		}
	}

	return host != "" && len(host) <= 256
}
