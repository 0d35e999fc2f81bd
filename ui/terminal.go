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
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/view"
)

// Bounds of the terminals. A shell that nobody uses is ended by the held host itself after
// half an hour, and a serial console is here.
const (
	ticketLife   = 2 * time.Minute // from the page to its web socket
	mostTickets  = 256
	mostViewers  = 8        // of one terminal
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

// port is where a terminal leads to.
type port struct {
	key    string // terminals of one key are one, and the audit trail's object: "run/…", "host/…"
	same   string // the terminal of a port that is not the same any more is about to end
	word   string // "terminal", in sentences
	of     string // "the held host rack3-u18 (run 01J…)"
	action string // in the audit trail, with "-end" where it is left
	host   core.MAC
	run    core.RunID    // empty: it is not of a run
	idle   time.Duration // for how long nothing may pass; 0: for ever
	over   string        // why it ends when the other side closes it
	silent string        // what people read where there is no line and nobody knows why

	open  func(ctx context.Context, size window) (line, error)
	ended func(ctx context.Context) string // why it must end; empty: it may go on
}

// line is what a terminal shows and types into. What is read ends in an error, which says why
// where it is a *core.Problem.
type line interface {
	io.ReadWriteCloser

	// resize says how large the terminal is of whoever types.
	resize(size window)
}

// ticket opens one terminal once: whoever was shown its page.
type ticket struct {
	key   string // of the port
	owner string // see streamOwner
	until time.Time
}

// terminals are the open ones, one for each port, and the tickets that open them. Safe
// for concurrent use.
type terminals struct {
	patience time.Duration // until a host must have opened its shell
	idle     time.Duration // without a byte either way until a serial console ends

	mu      sync.Mutex // guards the rest
	byKey   map[string]*terminal
	tickets map[string]ticket
}

func newTerminals() *terminals {
	return &terminals{patience: dialTimeout, idle: serialIdle, byKey: map[string]*terminal{}, tickets: map[string]ticket{}}
}

// ticket makes one.
func (t *terminals) ticket(key, owner string, chance io.Reader) (string, error) {
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
	t.tickets[word] = ticket{key: key, owner: owner, until: now.Add(ticketLife)}

	return word, nil
}

// redeem uses a ticket up.
func (t *terminals) redeem(word string, key, owner string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	known, ok := t.tickets[word]
	if !ok || known.key != key || known.owner != owner {
		return false // somebody else's stays good for them
	}

	delete(t.tickets, word)

	return time.Now().Before(known.until)
}

// terminal is one line, with those who look at it.
type terminal struct {
	port   *port
	opened chan struct{} // closed when it is known whether there is a line
	err    error         // why there is none; read once opened is closed
	line   line          // likewise; nil: there is none
	limit  time.Duration // for how long nothing may pass; 0: for ever
	idle   *time.Timer   // ends it then; nil where limit is 0

	mu      sync.Mutex
	over    bool
	viewers []*viewer // the first of those who do not only look types
	past    []byte    // the last that was shown
}

// viewer is one browser, or one program, that looks at a terminal.
type viewer struct {
	name  string        // of whoever looks
	looks bool          // and wants no more
	out   chan []byte   // what the host showed
	turn  chan struct{} // rung when another may be the one who types
	gone  chan struct{} // closed when they have left
	once  sync.Once
	why   end // read once gone is closed
}

// end is why a terminal is over.
type end struct {
	words string
	code  string // of core/problem; empty: none
}

func newViewer(name string, looks bool) *viewer {
	return &viewer{name: name, looks: looks, out: make(chan []byte, backlog), turn: make(chan struct{}, 1), gone: make(chan struct{})}
}

func (v *viewer) leave(why string) { v.part(end{words: why}) }

func (v *viewer) part(why end) {
	v.once.Do(func() {
		v.why = why
		close(v.gone)
	})
}

func (v *viewer) ring() {
	select {
	case v.turn <- struct{}{}:
	default: // they have not looked yet
	}
}

// terminalFrame is a page with a terminal, without the terminal.
func (u *UI) terminalFrame(c *fiber.Ctx, title string) (view.Terminal, error) {
	frame, err := u.frame(c, title, "")

	return view.Terminal{Frame: frame, Xterm: u.files.Xterm.Path, XtermCSS: u.files.XtermCSS.Path, Script: u.files.Terminal.Path}, err
}

// admit puts a ticket on a page, which opens the terminal at a path.
func (u *UI) admit(c *fiber.Ctx, page *view.Terminal, key, path string) error {
	word, err := u.terminals.ticket(key, streamOwner(c), u.cfg.Rand)
	if err != nil {
		return err
	}

	page.Socket, page.Nonce = path+"?ticket="+word, nonce()

	c.Set("Content-Security-Policy", strings.Replace(policy, "style-src 'self'", "style-src 'self' 'nonce-"+page.Nonce+"'", 1))

	return nil
}

// nonce is what lets the styles of one page in (CSP level 3, section 2.3.1).
func nonce() string { return rand.Text() }

// joinTerminal goes on as a web socket to a terminal. The caller has checked who asks, and that
// the page is our own; looks: they only look.
func (u *UI) joinTerminal(c *fiber.Ctx, to *port, size window, looks bool) error {
	if !u.tunnels.enter() {
		return core.NewProblem(core.ErrFull, problem.HoldTunnels, "Too many tunnels and terminals are open; close some and try again.")
	}

	j := &joining{ui: u, port: to, size: size, from: addr(c), cookie: c.Cookies(u.cookieName()), who: caller(c).Name, looks: looks, alive: u.alive(c, route.Operate)}
	if caller(c).Session == "" {
		j.cookie = ""
	}

	ctx := context.WithoutCancel(c.UserContext()) // the request ends before its terminal begins
	upgrader := websocket.FastHTTPUpgrader{ReadBufferSize: 4096, WriteBufferSize: 8192, HandshakeTimeout: viewerStall}

	if caller(c).Session == "" {
		upgrader.CheckOrigin = func(*fasthttp.RequestCtx) bool { return true } // no browser sends a token by itself
	}

	err := upgrader.Upgrade(c.Context(), func(conn *websocket.Conn) {
		defer u.tunnels.leave()

		j.serve(ctx, conn)
	})
	if err != nil {
		u.tunnels.leave()

		return malformed("This is no web socket that can be opened.")
	}

	return nil
}

// wantsSocket refuses whoever does not ask for a web socket.
func wantsSocket(c *fiber.Ctx) error {
	if websocket.FastHTTPIsWebSocketUpgrade(c.Context()) {
		return nil
	}

	c.Set(fiber.HeaderUpgrade, "websocket")

	return fiber.NewError(fiber.StatusUpgradeRequired, "Ask for this as a web socket: with Connection: Upgrade and Upgrade: websocket.")
}

// fromPage checks what came from the page of a terminal: its origin, its size, and its ticket,
// which is spent.
func (u *UI) fromPage(c *fiber.Ctx, key string) (size window, err error) {
	size = window{c.QueryInt("cols"), c.QueryInt("rows")}
	if !size.fits() {
		return size, core.NewProblem(core.ErrInvalid, "request/bad-number", fmt.Sprintf("A terminal has 2 to %d columns and 1 to %d rows.", mostColumns, mostRows))
	}

	if !u.terminals.redeem(c.Query("ticket"), key, streamOwner(c)) {
		return size, core.NewProblem(core.ErrRefused, problem.HoldTicket, "Load the page of the terminal again: it opens the terminal once, and within two minutes.")
	}

	return size, nil
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

// joining is one browser, or one program, on its way to a terminal.
type joining struct {
	ui     *UI
	port   *port
	size   window
	from   netip.Addr
	cookie string // of the session that typing keeps awake; empty: a token's
	who    string
	looks  bool
	alive  func(context.Context) error // an error: the caller may no longer be here

	touched time.Time // owned by the reader
}

// serve carries what is shown and typed until a reason to end is there.
func (j *joining) serve(ctx context.Context, conn *websocket.Conn) {
	v, in, out, began := newViewer(j.who, j.looks), 0, 0, time.Now()

	t, err := j.join(ctx, v)
	if err != nil {
		v.part(j.failure(err))
		j.write(conn, nil, v, &out)

		return
	}

	var both sync.WaitGroup

	both.Go(func() { in = j.read(ctx, conn, t, v) })
	both.Go(func() { j.write(conn, t, v, &out) })

	v.leave(j.ui.watch(ctx, j.alive, j.port.ended, v.gone))
	j.ui.terminals.part(t, v)

	_ = conn.SetReadDeadline(time.Now().Add(time.Second)) // for the browser's goodbye

	both.Wait()
	j.tell(ctx, "-end", fmt.Sprintf("left the %s of %s: %s; after %s, %d bytes typed, %d shown",
		j.port.word, j.port.of, v.why.words, time.Since(began).Round(time.Second), in, out))
}

// tell writes down what was done.
func (j *joining) tell(ctx context.Context, action, words string) {
	if err := j.writeDown(ctx, action, words); err != nil {
		j.ui.cfg.Log.Error("terminal not written down", slog.String("of", j.port.key), slog.String("who", j.who), slog.String("error", err.Error()))
	}
}

func (j *joining) writeDown(ctx context.Context, action, words string) error {
	return j.ui.writeAudit(ctx, core.Audit{
		Who: j.who, Action: j.port.action + action, Object: j.port.key, Host: j.port.host, Run: j.port.run, Text: words,
	})
}

// failure says to people why there is no terminal.
func (j *joining) failure(err error) end {
	if known := problems(err); len(known) > 0 {
		return end{strings.Join(sentences(err), " "), known[0].Code}
	}

	j.ui.cfg.Log.Warn("terminal not opened", slog.String("of", j.port.key), slog.String("error", err.Error()))

	return end{words: j.port.silent}
}

// join adds a viewer to the terminal of a port, which the first of them opens. Nobody
// gets in unwritten.
func (j *joining) join(ctx context.Context, v *viewer) (*terminal, error) {
	all := j.ui.terminals

	all.mu.Lock()

	t := all.byKey[j.port.key]
	if t != nil && t.port.same != j.port.same {
		t = nil // about to end
	}

	opens := t == nil
	if opens {
		t = &terminal{opened: make(chan struct{}), port: j.port}
		all.byKey[j.port.key] = t
	}

	all.mu.Unlock()

	err := j.writeDown(ctx, "", fmt.Sprintf("opened a %s of %s from %s", j.port.word, j.port.of, j.from))

	if opens {
		if err == nil {
			err = j.open(ctx, t)
		}

		if t.err = err; err != nil {
			all.drop(t)
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
		all.part(t, v) // where nobody is left, it ends

		return nil, core.NewProblem(core.ErrFull, problem.HoldTunnels, "Too many people look at this terminal, or it is just ending; try again.")
	}

	return t, nil
}

// open opens the line of a terminal, and shows what comes of it.
func (j *joining) open(ctx context.Context, t *terminal) (err error) {
	if t.line, err = j.port.open(ctx, j.size); err != nil {
		return err
	}

	if t.limit = j.port.idle; t.limit > 0 {
		t.idle = time.AfterFunc(t.limit, func() { t.end(end{words: "nothing was typed or shown for " + t.limit.String()}) })
	}

	go t.pump()

	return nil
}

// enter lets a viewer see the terminal, and what it showed before.
func (t *terminal) enter(v *viewer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	if len(t.viewers) >= mostViewers || t.over {
		return false
	}

	if len(t.past) > 0 {
		v.out <- bytes.Clone(t.past)
	}

	t.viewers = append(t.viewers, v)
	v.ring()

	return true
}

// part takes a viewer from a terminal: the next one may type, and with the last the
// line ends.
func (t *terminals) part(of *terminal, v *viewer) {
	of.mu.Lock()

	if at := slices.Index(of.viewers, v); at >= 0 {
		of.viewers = slices.Delete(of.viewers, at, at+1)

		for _, other := range of.viewers {
			other.ring()
		}
	}

	last := len(of.viewers) == 0
	if last {
		of.over = true // nobody comes in any more
	}

	of.mu.Unlock()

	if last {
		// Whoever comes now waits until the line was given back: there is one at a time.
		of.close()
		t.drop(of)
	}
}

// close ends the line.
func (t *terminal) close() {
	if t.idle != nil {
		t.idle.Stop()
	}

	_ = t.line.Close() // the host hangs up on what a shell runs
}

// drop forgets a terminal.
func (t *terminals) drop(one *terminal) {
	t.mu.Lock()
	defer t.mu.Unlock()

	if t.byKey[one.port.key] == one {
		delete(t.byKey, one.port.key)
	}
}

// pump shows what the host sends until it sends no more.
func (t *terminal) pump() {
	for {
		piece := make([]byte, 8<<10)

		n, err := t.line.Read(piece)
		if n > 0 {
			t.show(piece[:n])
		}

		if err == nil {
			continue
		}

		t.end(t.port.why(err))

		return
	}
}

// end shows everybody out.
func (t *terminal) end(why end) {
	t.mu.Lock()
	t.over = true
	all := slices.Clone(t.viewers)
	t.mu.Unlock()

	for _, v := range all {
		v.part(why)
	}
}

// touch says that something passes.
func (t *terminal) touch() {
	if t.idle != nil {
		t.idle.Reset(t.limit)
	}
}

// show hands a piece to all viewers. The host waits for the one who came first; who
// came later and falls behind is shown out.
func (t *terminal) show(piece []byte) {
	t.touch()

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

// driver is the one who types; nil: nobody does. t.mu is held.
func (t *terminal) driver() *viewer {
	if at := slices.IndexFunc(t.viewers, func(v *viewer) bool { return !v.looks }); at >= 0 {
		return t.viewers[at]
	}

	return nil
}

// types reports whether a viewer is the one who types.
func (t *terminal) types(v *viewer) bool {
	t.mu.Lock()
	defer t.mu.Unlock()

	return t.driver() == v
}

// role says to a viewer whether they type, and who does.
func (t *terminal) role(v *viewer) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()

	switch one := t.driver(); one {
	case v:
		return said("role", "driver")
	case nil:
		return said("role", "viewer")
	default:
		return said("role", "viewer", "who", one.name)
	}
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
				t.line.resize(size)
			}
		default:
			if _, err := t.line.Write(message); err != nil {
				v.part(t.port.why(err))

				return typed
			}

			t.touch()

			typed += len(message)

			j.keepAwake(ctx)
		}
	}
}

// why is why a line is over that ended in err.
func (p *port) why(err error) end {
	if known, _ := errors.AsType[*core.Problem](err); known != nil {
		return end{known.Message, known.Code}
	}

	return end{words: p.over}
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
func (j *joining) write(conn *websocket.Conn, t *terminal, v *viewer, shown *int) {
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

	for {
		var fine bool

		select {
		case piece := <-v.out:
			*shown += len(piece)
			fine = send(websocket.BinaryMessage, piece)
		case <-v.turn:
			fine = send(websocket.TextMessage, t.role(v))
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
			if send(websocket.TextMessage, said("end", v.why.words, "code", v.why.code)) {
				send(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
			}

			return
		}
	}
}

// said writes what the console says of a terminal: names and words by turns. Empty words are
// left out.
func said(pairs ...string) []byte {
	all := map[string]string{}

	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			all[pairs[i]] = pairs[i+1]
		}
	}

	text, err := json.Marshal(all)
	if err != nil {
		return []byte("{}")
	}

	return text
}
