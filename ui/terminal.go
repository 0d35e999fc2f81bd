package ui

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"golang.org/x/crypto/ssh"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/core/sshkey"
	"vetting/ui/view"
)

// Bounds of the terminals of held hosts. A shell that nobody uses is ended by the
// host itself after half an hour.
const (
	ticketLife   = 2 * time.Minute // from the page to its web socket
	mostTickets  = 256
	mostViewers  = 8        // of one shell
	maxMessage   = 16 << 10 // bytes that a browser may send at once
	maxPast      = 64 << 10 // bytes that a viewer who comes later is shown
	backlog      = 64       // messages that a viewer may be behind
	viewerStall  = 15 * time.Second
	viewerPing   = 20 * time.Second
	viewerSilent = 3 * viewerPing // without an answer
	mostColumns  = 500
	mostRows     = 300
)

// window is the size of a terminal in characters.
type window struct {
	Cols int `json:"cols"`
	Rows int `json:"rows"`
}

func (w window) fits() bool {
	return w.Cols >= 2 && w.Cols <= mostColumns && w.Rows >= 1 && w.Rows <= mostRows
}

// ticket opens one terminal once: whoever was shown its page.
type ticket struct {
	run   core.RunID
	owner string // see streamOwner
	until time.Time
}

// terminals are the open ones, one for each run, and the tickets that open them. Safe
// for concurrent use.
type terminals struct {
	patience time.Duration // until a host must have opened its shell

	mu      sync.Mutex // guards the rest
	byRun   map[core.RunID]*terminal
	tickets map[string]ticket
}

func newTerminals() *terminals {
	return &terminals{patience: dialTimeout, byRun: map[core.RunID]*terminal{}, tickets: map[string]ticket{}}
}

// ticket makes one.
func (t *terminals) ticket(run core.RunID, owner string, chance io.Reader) (string, error) {
	raw := make([]byte, 32)
	if _, err := io.ReadFull(chance, raw); err != nil {
		return "", fmt.Errorf("drawing the ticket of a terminal: %w", err)
	}

	t.mu.Lock()
	defer t.mu.Unlock()

	now := time.Now()

	if len(t.tickets) >= mostTickets {
		for word, known := range t.tickets {
			if now.After(known.until) {
				delete(t.tickets, word)
			}
		}
	}

	if len(t.tickets) >= mostTickets {
		clear(t.tickets) // whoever holds one loads the page again
	}

	word := base64.RawURLEncoding.EncodeToString(raw)
	t.tickets[word] = ticket{run: run, owner: owner, until: now.Add(ticketLife)}

	return word, nil
}

// redeem uses a ticket up.
func (t *terminals) redeem(word string, run core.RunID, owner string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	known, ok := t.tickets[word]
	if !ok || known.run != run || known.owner != owner {
		return false // somebody else's stays good for them
	}

	delete(t.tickets, word)

	return time.Now().Before(known.until)
}

// terminal is one shell on a held host, with those who look at it.
type terminal struct {
	opened chan struct{} // closed when it is known whether there is a shell
	err    error         // why there is none; read once opened is closed
	hold   core.Hold
	client *ssh.Client
	shell  *ssh.Session
	in     io.Writer

	mu      sync.Mutex
	viewers []*viewer // the first types
	past    []byte    // the last that was shown
}

// viewer is one browser that looks at a terminal.
type viewer struct {
	out   chan []byte   // what the host showed
	first chan struct{} // rung when they are the one who types
	gone  chan struct{} // closed when they have left
	once  sync.Once
	why   string // read once gone is closed
}

func newViewer() *viewer {
	return &viewer{out: make(chan []byte, backlog), first: make(chan struct{}, 1), gone: make(chan struct{})}
}

func (v *viewer) leave(why string) {
	v.once.Do(func() {
		v.why = why
		close(v.gone)
	})
}

// terminalPage shows a shell on the held host of a run, or why there is none.
func (u *UI) terminalPage(c *fiber.Ctx) error {
	run, err := u.findRun(c, nil)
	if err != nil {
		return err
	}

	frame, err := u.frame(c, "Terminal of "+run.HostName, "")
	if err != nil {
		return err
	}

	page := view.Terminal{Frame: frame, Run: run, Xterm: u.files.Xterm.Path, XtermCSS: u.files.XtermCSS.Path, Script: u.files.Terminal.Path}

	switch err := heldOpen(&run); {
	case u.cfg.TerminalKey == nil || u.cfg.Dial == nil:
		page.Closed = "This appliance has no way to the test network."
	case err != nil:
		page.Closed = strings.Join(sentences(err), " ")
	default:
		word, err := u.terminals.ticket(run.ID, streamOwner(c), u.cfg.Rand)
		if err != nil {
			return err
		}

		page.Socket = "/runs/" + string(run.ID) + "/terminal/socket?ticket=" + word
		page.Nonce = nonce()

		c.Set("Content-Security-Policy", strings.Replace(policy, "style-src 'self'", "style-src 'self' 'nonce-"+page.Nonce+"'", 1))
	}

	return draw(c, view.ShowTerminal(&page))
}

// nonce is what lets the styles of one page in (CSP level 3, section 2.3.1).
func nonce() string { return rand.Text() }

// terminalSocket joins a browser to the shell of a held host. The page's origin, the
// session or token, its role, and the ticket of the page must all be right.
func (u *UI) terminalSocket(c *fiber.Ctx) error {
	if !websocket.FastHTTPIsWebSocketUpgrade(c.Context()) {
		c.Set(fiber.HeaderUpgrade, "websocket")

		return fiber.NewError(fiber.StatusUpgradeRequired, "The terminal is opened by its page.")
	}

	run, size, err := u.mayOpen(c)
	if err != nil {
		return err
	}

	if !u.tunnels.enter() {
		return core.NewProblem(core.ErrFull, problem.HoldTunnels, "Too many tunnels to held hosts are open; close some and try again.")
	}

	j := &joining{
		ui: u, run: run, size: size, from: addr(c), cookie: c.Cookies(u.cookieName()),
		tunnel: &tunnel{run: run.ID, hold: *run.Hold, who: caller(c).Name, alive: u.alive(c, route.Operate)},
	}
	if caller(c).Session == "" {
		j.cookie = ""
	}

	ctx := context.WithoutCancel(c.UserContext()) // the request ends before its terminal begins
	upgrader := websocket.FastHTTPUpgrader{ReadBufferSize: 4096, WriteBufferSize: 8192, HandshakeTimeout: viewerStall}

	err = upgrader.Upgrade(c.Context(), func(conn *websocket.Conn) {
		defer u.tunnels.leave()

		j.serve(ctx, conn)
	})
	if err != nil {
		u.tunnels.leave()

		return malformed("This is no web socket that can be opened.")
	}

	return nil
}

// mayOpen checks that a terminal may be opened: of which run, and how large. The ticket that
// came with the page is spent by it.
func (u *UI) mayOpen(c *fiber.Ctx) (run core.Run, size window, err error) {
	if err := ownOrigin(c); err != nil {
		return run, size, err
	}

	if run, err = u.findRun(c, nil); err != nil {
		return run, size, err
	}

	if err := heldOpen(&run); err != nil {
		return run, size, err
	}

	if u.cfg.TerminalKey == nil || u.cfg.Dial == nil {
		return run, size, core.NewProblem(core.ErrConflict, problem.HoldUnreached, "This appliance has no way to the test network.")
	}

	size = window{c.QueryInt("cols"), c.QueryInt("rows")}
	if !size.fits() {
		return run, size, core.NewProblem(core.ErrInvalid, "request/bad-number", fmt.Sprintf("A terminal has 2 to %d columns and 1 to %d rows.", mostColumns, mostRows))
	}

	if !u.terminals.redeem(c.Query("ticket"), run.ID, streamOwner(c)) {
		return run, size, core.NewProblem(core.ErrRefused, problem.HoldTicket, "Load the page of the terminal again: it opens the terminal once, and within two minutes.")
	}

	return run, size, nil
}

// ownOrigin refuses a web socket that another site's page opens: browsers let them,
// and send Origin with each (RFC 6455, section 10.2).
func ownOrigin(c *fiber.Ctx) error {
	scheme, host, ok := strings.Cut(c.Get(fiber.HeaderOrigin), "://")
	if ok && (scheme == "https" || scheme == "http") && host == c.Get(fiber.HeaderHost) {
		return nil
	}

	return core.NewProblem(core.ErrRefused, "console/other-site", "This request does not come from the console's own pages; open the console and try again.")
}

// joining is one browser on its way to a terminal.
type joining struct {
	ui     *UI
	run    core.Run
	size   window
	from   netip.Addr
	cookie string // of the session that typing keeps awake; empty: a token's
	tunnel *tunnel

	touched time.Time // owned by the reader
}

// serve carries what is shown and typed until a reason to end is there.
func (j *joining) serve(ctx context.Context, conn *websocket.Conn) {
	v, in, out := newViewer(), 0, 0

	t, err := j.join(ctx, v)
	if err != nil {
		v.leave(j.failure(err))
		j.write(conn, v, &out)

		return
	}

	var both sync.WaitGroup

	both.Go(func() { in = j.read(ctx, conn, t, v) })
	both.Go(func() { j.write(conn, v, &out) })

	why := j.ui.watch(ctx, j.tunnel, v.gone)
	v.leave(why)
	j.ui.terminals.part(j.run.ID, t, v)

	_ = conn.SetReadDeadline(time.Now().Add(time.Second)) // for the browser's goodbye

	both.Wait()
	j.tell(ctx, "hold.terminal-end", fmt.Sprintf("left the terminal of the held host %s (run %s): %s; %d bytes typed, %d shown", j.run.HostName, j.run.ID, v.why, in, out))
}

// tell writes down what was done.
func (j *joining) tell(ctx context.Context, action, words string) {
	err := j.ui.writeAudit(ctx, core.Audit{
		Who: j.tunnel.who, Action: action, Object: "run/" + string(j.run.ID), Host: j.run.Host, Run: j.run.ID, Text: words,
	})
	if err != nil {
		j.ui.cfg.Log.Error("terminal not written down", slog.String("run", string(j.run.ID)), slog.String("who", j.tunnel.who), slog.String("error", err.Error()))
	}
}

// failure says to people why there is no shell.
func (j *joining) failure(err error) string {
	if known := problems(err); len(known) > 0 {
		return strings.Join(sentences(err), " ")
	}

	j.ui.cfg.Log.Warn("terminal not opened", slog.String("run", string(j.run.ID)), slog.String("error", err.Error()))

	return fmt.Sprintf("The SSH server of %s does not answer; see whether the host still beats.", j.run.HostName)
}

// join adds a viewer to the terminal of a run, which the first of them opens. Nobody
// gets in unwritten.
func (j *joining) join(ctx context.Context, v *viewer) (*terminal, error) {
	all := j.ui.terminals

	all.mu.Lock()

	t := all.byRun[j.run.ID]
	if t != nil && (t.hold.Epoch != j.tunnel.hold.Epoch || t.hold.HostKey != j.tunnel.hold.HostKey) {
		t = nil // of an earlier hold, about to end
	}

	opens := t == nil
	if opens {
		t = &terminal{opened: make(chan struct{}), hold: j.tunnel.hold}
		all.byRun[j.run.ID] = t
	}

	all.mu.Unlock()

	err := j.ui.writeAudit(ctx, core.Audit{
		Who: j.tunnel.who, Action: "hold.terminal", Object: "run/" + string(j.run.ID), Host: j.run.Host, Run: j.run.ID,
		Text: fmt.Sprintf("opened a terminal of the held host %s (run %s) from %s", j.run.HostName, j.run.ID, j.from),
	})

	if opens {
		if err == nil {
			err = j.open(ctx, t)
		}

		if t.err = err; err != nil {
			all.drop(j.run.ID, t)
		}

		close(t.opened)
	}

	if err != nil {
		return nil, err
	}

	<-t.opened

	if t.err != nil {
		return nil, t.err
	}

	if !t.enter(v) {
		all.part(j.run.ID, t, v) // where nobody is left, it ends

		return nil, core.NewProblem(core.ErrFull, problem.HoldTunnels, "Too many people look at this terminal, or it is just ending; try again.")
	}

	return t, nil
}

// enter lets a viewer see the terminal, and what it showed before.
func (t *terminal) enter(v *viewer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	if len(t.viewers) >= mostViewers || t.shell == nil {
		return false
	}

	if len(t.past) > 0 {
		v.out <- bytes.Clone(t.past)
	}

	t.viewers = append(t.viewers, v)
	if t.viewers[0] == v {
		v.first <- struct{}{}
	}

	return true
}

// part takes a viewer from a terminal: the next one may type, and with the last the
// shell ends.
func (t *terminals) part(run core.RunID, of *terminal, v *viewer) {
	of.mu.Lock()

	if at := slices.Index(of.viewers, v); at >= 0 {
		of.viewers = slices.Delete(of.viewers, at, at+1)

		if at == 0 && len(of.viewers) > 0 {
			of.viewers[0].first <- struct{}{} // it is rung once for each
		}
	}

	last := len(of.viewers) == 0
	if last {
		of.shell = nil // nobody comes in any more
	}

	of.mu.Unlock()

	if last {
		t.drop(run, of)
		_ = of.client.Close() // the host hangs up on what the shell runs
	}
}

// drop forgets a terminal.
func (t *terminals) drop(run core.RunID, one *terminal) {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.byRun[run] == one {
		delete(t.byRun, run)
	}
}

// talk is how the SSH server of a hold is spoken to: it must have the key that its agent told
// over the pinned connection. other is set where it turns out to have another one.
func (j *joining) talk(hold *core.Hold, other *bool) (*ssh.ClientConfig, error) {
	pinned, err := sshkey.Parse(hold.HostKey)
	if err != nil {
		return nil, fmt.Errorf("reading the host key of the hold: %w", err)
	}

	want, err := ssh.NewPublicKey(pinned)
	if err != nil {
		return nil, fmt.Errorf("reading the host key of the hold: %w", err)
	}

	own, err := ssh.NewSignerFromSigner(j.ui.cfg.TerminalKey)
	if err != nil {
		return nil, fmt.Errorf("reading the terminal's key: %w", err)
	}

	return &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(own)}, HostKeyAlgorithms: []string{ssh.KeyAlgoED25519}, ClientVersion: "SSH-2.0-vetting-console",
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if *other = !bytes.Equal(key.Marshal(), want.Marshal()); *other {
				return errors.New("the host key is another one")
			}

			return nil
		},
	}, nil
}

// open reaches the host and starts a shell.
func (j *joining) open(ctx context.Context, t *terminal) error {
	other := false

	config, err := j.talk(&t.hold, &other)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, j.ui.terminals.patience)
	defer cancel()

	wire, err := j.ui.cfg.Dial(ctx, j.run.ID)
	if err != nil {
		return err
	}

	// It holds until the shell is there, since each step of that waits for the host. A closed
	// connection shows at the handshake.
	_ = wire.SetDeadline(time.Now().Add(j.ui.terminals.patience))

	conn, channels, requests, err := ssh.NewClientConn(wire, t.hold.Addr.String(), config)

	switch {
	case err == nil:
	case other:
		return errors.Join(core.NewProblem(core.ErrRefused, problem.HoldOtherKey, fmt.Sprintf(
			"Another machine than %s answers at %s: its host key is not the one that the agent told. Nothing was typed there.", j.run.HostName, t.hold.Addr)), wire.Close())
	case strings.Contains(err.Error(), "unable to authenticate"):
		return errors.Join(core.NewProblem(core.ErrRefused, problem.HoldStranger,
			"The host was held before this appliance was started, and does not know the key of its terminal. Use ssh with the key of the hold, or run the stage again."), wire.Close())
	default:
		return errors.Join(err, wire.Close())
	}

	t.client = ssh.NewClient(conn, channels, requests)

	if err := t.start(j.size); err != nil {
		return errors.Join(core.NewProblem(core.ErrConflict, problem.HoldNoShell, fmt.Sprintf(
			"%s opens no shell; close other sessions and try again.", j.run.HostName)), t.client.Close())
	}

	_ = wire.SetDeadline(time.Time{}) // likewise

	return nil
}

// start opens the shell and shows what comes of it.
func (t *terminal) start(size window) error {
	shell, err := t.client.NewSession()
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}

	in, err := shell.StdinPipe()
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}

	out, err := shell.StdoutPipe()
	if err != nil {
		return fmt.Errorf("opening a session: %w", err)
	}

	if err := shell.RequestPty("xterm-256color", size.Rows, size.Cols, ssh.TerminalModes{}); err != nil {
		return fmt.Errorf("asking for a terminal: %w", err)
	}

	if err := shell.Shell(); err != nil {
		return fmt.Errorf("starting a shell: %w", err)
	}

	t.shell, t.in = shell, in

	go t.pump(out)

	return nil
}

// pump shows what the host sends until it sends no more.
func (t *terminal) pump(out io.Reader) {
	for {
		piece := make([]byte, 8<<10)

		n, err := out.Read(piece)
		if n > 0 {
			t.show(piece[:n])
		}

		if err != nil {
			break
		}
	}

	t.mu.Lock()
	t.shell = nil
	all := slices.Clone(t.viewers)
	t.mu.Unlock()

	for _, v := range all {
		v.leave("the shell has ended")
	}
}

// show hands a piece to all viewers. The host waits for the one who types; who only
// looks and falls behind is shown out.
func (t *terminal) show(piece []byte) {
	t.mu.Lock()
	t.past = append(t.past, piece...)
	t.past = t.past[max(0, len(t.past)-maxPast):]
	all := slices.Clone(t.viewers)
	t.mu.Unlock()

	for i, v := range all {
		if i == 0 {
			select {
			case v.out <- piece:
			case <-v.gone:
			}

			continue
		}

		select {
		case v.out <- piece:
		default:
			v.leave("the browser is too slow to look on")
		}
	}
}

// types reports whether a viewer is the one who types.
func (t *terminal) types(v *viewer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	return len(t.viewers) > 0 && t.viewers[0] == v
}

// read takes what a browser sends, and counts what was typed.
func (j *joining) read(ctx context.Context, conn *websocket.Conn, t *terminal, v *viewer) (typed int) {
	conn.SetReadLimit(maxMessage)

	heard := func(string) error { return conn.SetReadDeadline(time.Now().Add(viewerSilent)) }
	conn.SetPongHandler(heard)

	if heard("") != nil {
		return 0
	}

	for {
		kind, message, err := conn.ReadMessage()

		switch {
		case err != nil:
			v.leave("the browser has closed it")

			return typed
		case !t.types(v):
			continue // who looks on has no say
		case kind == websocket.TextMessage:
			var size window

			if json.Unmarshal(message, &size) == nil && size.fits() {
				t.resize(size)
			}
		default:
			if _, err := t.in.Write(message); err != nil {
				v.leave("the shell has ended")

				return typed
			}

			typed += len(message)

			j.keepAwake(ctx)
		}
	}
}

// resize tells the shell the size of the browser's terminal.
func (t *terminal) resize(size window) {
	t.mu.Lock()
	shell := t.shell
	t.mu.Unlock()

	if shell != nil {
		_ = shell.WindowChange(size.Rows, size.Cols) // a broken connection shows elsewhere
	}
}

// keepAwake lets typing count as use of the session.
func (j *joining) keepAwake(ctx context.Context) {
	if j.cookie == "" || time.Since(j.touched) < time.Minute {
		return
	}

	j.touched = time.Now()
	_, _ = j.ui.book.Session(ctx, j.cookie, true) // one that has ended is noticed by the watch
}

// write sends a viewer what the host shows, and in the end why it is over.
func (j *joining) write(conn *websocket.Conn, v *viewer, shown *int) {
	ping := time.NewTicker(viewerPing)
	defer ping.Stop()

	send := func(kind int, content []byte) bool {
		_ = conn.SetWriteDeadline(time.Now().Add(viewerStall)) // a closed connection shows at the write
		if conn.WriteMessage(kind, content) != nil {
			v.leave("the browser takes nothing any more")

			return false
		}

		return true
	}

	if !send(websocket.TextMessage, said("role", "viewer")) {
		return
	}

	for {
		var fine bool

		select {
		case piece := <-v.out:
			*shown += len(piece)
			fine = send(websocket.BinaryMessage, piece)
		case <-v.first:
			fine = send(websocket.TextMessage, said("role", "driver"))
		case <-ping.C:
			fine = send(websocket.PingMessage, nil)
		case <-v.gone:
			j.goodbye(v, shown, send)

			return
		}

		if !fine {
			return
		}
	}
}

// goodbye sends what is left and why it is over.
func (j *joining) goodbye(v *viewer, shown *int, send func(kind int, content []byte) bool) {
	for {
		select {
		case piece := <-v.out:
			*shown += len(piece)

			if !send(websocket.BinaryMessage, piece) {
				return
			}
		default:
			if send(websocket.TextMessage, said("end", v.why)) {
				send(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
			}

			return
		}
	}
}

func said(key, word string) []byte {
	return []byte("{" + strconv.Quote(key) + ":" + quoted(word) + "}")
}

// quoted writes a word as JSON.
func quoted(word string) string {
	encoded, err := json.Marshal(word)
	if err != nil {
		return `""`
	}

	return string(encoded)
}
