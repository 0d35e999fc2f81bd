package gate

import (
	"crypto/sha256"
	_ "embed" // the installer
	"encoding/base64"
	"encoding/hex"
	"fmt"
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
	program *Program
	spki    string
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

// serving does for both files what must not be forgotten for any. What cannot be
// sent to its end is cut off, and tells itself by its length.
func (g *hostGate) serving(file func(w http.ResponseWriter, r *http.Request) error) http.Handler {
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

		h := w.Header()
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Content-Type-Options", "nosniff")

		if err := file(w, r); err != nil {
			g.Log.Debug("a file for an installed host was not sent whole",
				slog.String("path", r.URL.Path), slog.String("from", remoteAddr(r)), slog.String("error", err.Error()))
		}
	})
}

func (s *shelf) agent(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+s.program.Digest()+`"`)

	return s.program.serve(w, r)
}

// quick answers with the installer and the address it was asked for at, which is
// how the machine reaches us.
func (s *shelf) quick(w http.ResponseWriter, r *http.Request) error {
	script := strings.NewReplacer("@APPLIANCE@", "https://"+r.Host, "@PIN@", s.spki, "@SHA256@", s.program.Digest(), "@PROGRAM@", AgentPath).
		Replace(quickTemplate)

	w.Header().Set("Content-Type", "text/x-shellscript; charset=utf-8")
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(script))))
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(script))

	return nil
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
