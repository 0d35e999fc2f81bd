package ui_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/fasthttp/websocket"
	"golang.org/x/crypto/ssh"

	"vetting/agent/hold"
	"vetting/core"
	"vetting/core/route"
	"vetting/core/sshkey"
	"vetting/ui"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

// cell is a console with a held host whose SSH server is the agent's own.
type cell struct {
	*bench

	base   string
	cookie string                  // of an operator
	dials  *atomic.Pointer[string] // where the held host is said to be
	stop   func() time.Duration
}

// openCell starts the agent's hold on loopback, with a shell of this machine, and a
// console that may enter it; other may be the key that the hold lets in instead.
func openCell(t *testing.T, other ed25519.PublicKey) *cell {
	t.Helper()

	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	if other == nil {
		other = public
	}

	server, err := hold.New(hold.Config{
		Random: rand.Reader, Log: slog.New(slog.DiscardHandler), Shell: []string{"/bin/sh"}, Env: []string{"PATH=/usr/bin:/bin", "PS1=held# ", "HOME=/"},
	})
	if err != nil {
		t.Fatal(err)
	}

	if err := server.Admit([]string{sshkey.Line(other, "")}); err != nil {
		t.Fatal(err)
	}

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)

	go func() { ended <- server.Run(ctx, listener) }()

	t.Cleanup(func() {
		stop()

		if err := <-ended; err != nil {
			t.Error(err)
		}
	})

	at := listener.Addr().String()
	dials := &atomic.Pointer[string]{}
	dials.Store(&at)

	c := &cell{dials: dials, bench: open(t, canned.Full, func(cfg *ui.Config) {
		random(cfg)

		cfg.TerminalKey = private
		cfg.Dial = func(ctx context.Context, _ core.RunID) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", *dials.Load())
		}
	})}
	c.LookAtCallers(20 * time.Millisecond)
	c.signIn()
	c.cookie = c.member("otto", route.Operator)
	c.alter(func(run *core.Run) { run.Hold.HostKey = server.HostKey() })
	c.base, c.stop = c.listen()

	return c
}

// alter rewrites the held run and rings.
func (c *cell) alter(edit func(*core.Run)) {
	c.t.Helper()
	(&lab{bench: c.bench}).change(edit)
}

var socketOf = regexp.MustCompile(`data-socket="([^"]+)"`)

// page opens the page of the terminal and returns the path of its socket.
func (c *cell) page(cookie string) string {
	c.t.Helper()

	got := c.ask("GET", "/runs/"+string(held)+"/terminal", "", "Cookie", cookie)

	found := socketOf.FindStringSubmatch(got.body)
	if found == nil {
		c.t.Fatalf("no terminal on the page: %d %s", got.status, got.body)
	}

	return strings.ReplaceAll(found[1], "&amp;", "&") + "&cols=80&rows=24"
}

// dial opens a socket as the browser does.
func (c *cell) dial(path, cookie, origin string) (*websocket.Conn, *http.Response, error) {
	return websocket.DefaultDialer.DialContext(c.t.Context(), strings.Replace(c.base, "http://", "ws://", 1)+path, http.Header{"Cookie": {cookie}, "Origin": {origin}})
}

func (c *cell) enter(cookie string) *seat {
	c.t.Helper()

	conn, _, err := c.dial(c.page(cookie), cookie, c.base)
	if err != nil {
		c.t.Fatal(err)
	}

	c.t.Cleanup(func() { _ = conn.Close() })

	return &seat{t: c.t, conn: conn}
}

// seat is one end of a terminal.
type seat struct {
	t     *testing.T
	conn  *websocket.Conn
	shown bytes.Buffer
	said  []string
}

// until reads until something is shown or said.
func (s *seat) until(what string, is func() bool) {
	s.t.Helper()

	if err := s.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}

	for !is() {
		kind, message, err := s.conn.ReadMessage()
		if err != nil {
			s.t.Fatalf("waiting for %s: %v; shown %q, said %q", what, err, &s.shown, s.said)
		}

		if kind == websocket.TextMessage {
			s.said = append(s.said, string(message))
		} else {
			s.shown.Write(message)
		}
	}
}

func (s *seat) shows(words string) {
	s.t.Helper()
	s.until(words, func() bool { return strings.Contains(s.shown.String(), words) })
}

func (s *seat) says(words string) {
	s.t.Helper()
	s.until(words, func() bool { return strings.Contains(strings.Join(s.said, " "), words) })
}

func (s *seat) types(words string) {
	s.t.Helper()

	if err := s.conn.WriteMessage(websocket.BinaryMessage, []byte(words)); err != nil {
		s.t.Fatal(err)
	}
}

func TestATerminalIsAShellOnTheHeldHost(t *testing.T) {
	t.Parallel()

	c := openCell(t, nil)
	s := c.enter(c.cookie)

	s.says(`{"role":"driver"}`)
	s.types("echo $((6*7))x; stty size\n")
	s.shows("42x")
	s.shows("24 80")

	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(`{"cols":120,"rows":40}`)); err != nil {
		t.Fatal(err)
	}

	s.types("stty size\n")
	s.shows("40 120")

	// Whoever comes second sees what was shown, looks on, and types nothing.
	second := c.enter(c.cookie)
	second.shows("42x")
	second.types("echo smuggled$((1+1))\n")
	s.types("echo both$((1+1))\n")
	s.shows("both2")
	second.shows("both2")

	if !strings.Contains(strings.Join(second.said, ""), "viewer") || strings.Contains(strings.Join(second.said, ""), "driver") {
		t.Errorf("who looks on types: %s %s", &s.shown, second.said)
	}

	// With the first gone, the second types.
	_ = s.conn.Close()

	second.says(`{"role":"driver"}`)
	second.types("echo mine$((1+1)); exit\n")
	second.shows("mine2")
	second.says("the shell has ended")

	if strings.Contains(second.shown.String(), "smuggled2") { // it was sent before what came through
		t.Errorf("who looks on types: %s", &second.shown)
	}

	c.stop() // what is left is written down

	got := c.ask("GET", "/api/v1/audit?action=hold.terminal", "", "Authorization", "Bearer "+c.token("admin"))
	for _, want := range []string{`"who":"otto"`, `"object":"run/` + string(held) + `"`, "opened a terminal of the held host rack3-u18", "from 127.0.0.1", "left the terminal", "the shell has ended; "} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the audit trail lacks %q: %s", want, got.body)
		}
	}
}

func TestATerminalEndsWithItsHold(t *testing.T) {
	t.Parallel()

	for name, end := range map[string]func(*cell){
		"the run is in Released":  func(c *cell) { c.alter(func(run *core.Run) { run.State = core.StateReleased }) },
		"the hold is another one": func(c *cell) { c.alter(func(run *core.Run) { run.Hold.Epoch++ }) },
		"the caller may no longer open it": func(c *cell) {
			got := c.ask("PATCH", "/api/v1/users/otto", `{"role":"viewer"}`, "Authorization", "Bearer "+c.token("admin"))
			if got.status != http.StatusOK {
				c.t.Errorf("taking the role away: %d %s", got.status, got.body)
			}
		},
		"the caller's session or token ended": func(c *cell) { c.ask("POST", "/logout", "", "Cookie", c.cookie, "Sec-Fetch-Site", "same-origin") },
	} {
		c := openCell(t, nil)
		s := c.enter(c.cookie)
		s.says("driver")
		end(c)
		s.says(strings.Replace(name, "token ended", "token has ended", 1))

		if _, _, err := s.conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATerminalIsRefusedToOthers(t *testing.T) {
	t.Parallel()

	c := openCell(t, nil)
	looker := c.member("lena", route.Viewer)
	mallory := c.member("mallory", route.Operator)

	for name, try := range map[string]struct {
		path   func() string
		cookie string
		origin string
		status int
	}{
		"a page of another site":    {func() string { return c.page(c.cookie) }, c.cookie, "http://evil.test", http.StatusForbidden},
		"a program without a page":  {func() string { return c.page(c.cookie) }, c.cookie, "", http.StatusForbidden},
		"nobody":                    {func() string { return c.page(c.cookie) }, "", c.base, http.StatusUnauthorized},
		"who may only look":         {func() string { return c.page(c.cookie) }, looker, c.base, http.StatusForbidden},
		"another operator's ticket": {func() string { return c.page(c.cookie) }, mallory, c.base, http.StatusForbidden},
		"no ticket":                 {func() string { return "/runs/" + string(held) + "/terminal/socket?cols=80&rows=24" }, c.cookie, c.base, http.StatusForbidden},
		"a ticket of another run":   {func() string { return strings.Replace(c.page(c.cookie), string(held), string(canned.Run), 1) }, c.cookie, c.base, http.StatusConflict},
		"a terminal without an end": {func() string { return strings.Replace(c.page(c.cookie), "cols=80", "cols=99999", 1) }, c.cookie, c.base, http.StatusUnprocessableEntity},
		"a run that there is not":   {func() string { return "/runs/nonsense/terminal/socket?cols=80&rows=24" }, c.cookie, c.base, http.StatusNotFound},
	} {
		conn, answer, err := c.dial(try.path(), try.cookie, try.origin)
		if err == nil {
			_ = conn.Close()
		}

		if err == nil || answer == nil || answer.StatusCode != try.status {
			t.Errorf("%s: %v %v, want %d", name, err, answer, try.status)
		}
	}

	// A ticket opens once.
	path := c.page(c.cookie)

	conn, _, err := c.dial(path, c.cookie, c.base)
	if err != nil {
		t.Fatal(err)
	}

	defer conn.Close() //nolint:errcheck // it may have ended

	if again, answer, err := c.dial(path, c.cookie, c.base); err == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("a ticket opens twice: %v %v", again, err)
	}

	if got := c.ask("GET", "/runs/"+string(held)+"/terminal/socket", "", "Cookie", c.cookie); got.status != http.StatusUpgradeRequired {
		t.Errorf("without an upgrade: %d", got.status)
	}

	if got := c.ask("GET", "/runs/"+string(held)+"/terminal", "", "Cookie", looker); got.status != http.StatusForbidden {
		t.Errorf("the page to who may only look: %d", got.status)
	}

	if got := c.ask("GET", "/runs/"+string(canned.Run)+"/terminal", "", "Cookie", c.cookie); strings.Contains(got.body, "data-socket") || !strings.Contains(got.body, "only a held host can be looked into") {
		t.Errorf("the page of a run that goes on: %s", got.body)
	}
}

func TestATerminalEntersOnlyTheHostThatTheAgentNamed(t *testing.T) {
	t.Parallel()

	stranger, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	c := openCell(t, nil)
	c.alter(func(run *core.Run) { run.Hold.HostKey = sshkey.Line(stranger, "") })
	c.enter(c.cookie).says("Another machine than rack3-u18 answers")

	c = openCell(t, stranger)
	c.enter(c.cookie).says("does not know the key of its terminal")
}

// A host that answers the handshake and then nothing keeps nobody waiting for good: neither
// who opened the terminal, nor who came after, nor the end of the appliance.
func TestAHostThatStallsKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()

	c := openCell(t, nil)
	c.WaitForShells(300 * time.Millisecond)
	c.alter(func(run *core.Run) { run.Hold.HostKey = stalls(t, c.dials) })

	first := c.enter(c.cookie)
	second := c.enter(c.cookie)

	first.says("opens no shell")
	second.says("opens no shell")

	if took := c.stop(); took > 10*time.Second {
		t.Errorf("the console took %s to stop", took)
	}
}

// stalls has what is dialled be an SSH server that lets everybody in and then says nothing,
// and returns its key.
func stalls(t *testing.T, dials *atomic.Pointer[string]) string {
	t.Helper()

	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}

	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = listener.Close() })

	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }} //nolint:nilnil // no permissions
	config.AddHostKey(signer)

	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}

			t.Cleanup(func() { _ = conn.Close() })

			go func() {
				_, _, _, _ = ssh.NewServerConn(conn, config) //nolint:dogsled // nobody asks what comes of it
			}()
		}
	}()

	at := listener.Addr().String()
	dials.Store(&at)

	return sshkey.Line(public, "")
}

// strokes presses keys one by one as a keyboard does: chromedp.KeyEvent tells of each
// letter twice, which only shows where somebody listens to the keys themselves.
func strokes(text string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		for _, letter := range text {
			down := input.DispatchKeyEvent(input.KeyDown).WithText(string(letter)).WithKey(string(letter))
			up := input.DispatchKeyEvent(input.KeyUp).WithKey(string(letter))

			if letter == '\r' {
				down, up = down.WithKey("Enter").WithWindowsVirtualKeyCode(13), up.WithKey("Enter").WithWindowsVirtualKeyCode(13)
			}

			if err := errors.Join(down.Do(ctx), up.Do(ctx)); err != nil {
				return err
			}
		}

		return nil
	})
}

// In a browser: what is typed reaches the host, what comes back is seen, the page's
// policy keeps nothing from working, and the terminal follows the window.
func TestATerminalInTheBrowser(t *testing.T) {
	t.Parallel()

	c := openCell(t, nil)
	tab := browser.Open(t, "")
	name, value, _ := strings.Cut(c.cookie, "=")

	browser.Do(t, tab, network.SetExtraHTTPHeaders(network.Headers{}), network.SetCookie(name, value).WithURL(c.base),
		emulation.SetDeviceMetricsOverride(1200, 900, 1, false), chromedp.Navigate(c.base+"/runs/"+string(held)+"/hold"), chromedp.Click("#open-terminal"))
	browser.Become(t, tab, "the terminal", `document.querySelector("#terminal-state")?.textContent.startsWith("connected: what you type") && !document.querySelector("#terminal-again").checkVisibility()`)
	browser.Do(t, tab, strokes("echo seen$((40+2))\r"))
	browser.Become(t, tab, "the answer of the host", `document.querySelector(".xterm-rows").textContent.includes("seen42")`)
	browser.Look(t, tab, "terminal", `{resultTypes: ["violations"], preload: false}`)

	browser.Do(t, tab, emulation.SetDeviceMetricsOverride(360, 740, 2, true), strokes("stty size\r"))
	browser.Become(t, tab, "the size of a phone", `/[0-9]+ [34][0-9]held/.test(document.querySelector(".xterm-rows").textContent)`)

	if wide := browser.Told[int](t, tab, "document.documentElement.scrollWidth"); wide > 360 {
		t.Errorf("the terminal is %d pixels wide: %s", wide, browser.Told[string](t, tab, widest))
	}

	if all := browser.Told[[]string](t, tab, "window.__noted"); len(all) > 0 {
		t.Errorf("%s", strings.Join(all, "; "))
	}

	c.alter(func(run *core.Run) { run.State = core.StateReleased })
	browser.Become(t, tab, "the end of the hold", `document.querySelector("#terminal-state").textContent === "closed: the run is in Released" && document.querySelector("#terminal-again").checkVisibility()`)
}
