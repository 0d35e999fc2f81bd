package sse

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
)

const (
	batch    = 256                    // events read at once
	lines    = 200                    // of a log in one frame
	farewell = 300 * time.Millisecond // how long a reader has to take the goodbye
)

// Want is what a stream is to tell.
type Want struct {
	Caller   string                // streams of the same caller share a limit
	Name     string                // of the stream among its caller's; empty: it has none
	Instead  string                // name of the one that it takes the place of: its page was left, which shows only when it is written to
	After    uint64                // cursor: events past it are told
	FromNow  bool                  // start at the ledger's end instead
	Chooses  func(core.Event) bool // nil: every event
	Run      core.RunID            // with its log as log frames
	LogAfter uint64                // seq of the last log line known
	Page     bool                  // for people: with the appliance's time and verdicts in words
	Resync   uint64                // further behind than this, the reader is told to read anew; 0: never
	Alive    func(context.Context) error
	Parts    Parts // nil: the reader's page has none that are told
	News     bool  // Parts is asked about events, too, and not only now and then
}

// Parts says what of a reader's page has changed since it was asked last, as the data of a
// "part" frame; nothing: it is as it was. hosts are those that events were about meanwhile;
// none: it is asked because time has passed. It is asked by one goroutine.
type Parts func(ctx context.Context, hosts map[core.MAC]bool) ([]byte, error)

// stream is one reader.
type stream struct {
	hub    *Hub
	want   Want
	number uint64
	lost   bool // the cursor is of another ledger
	gone   chan struct{}
	once   sync.Once
	conn   net.Conn
	down   <-chan struct{}
	w      *bufio.Writer
	looked <-chan struct{} // of Hub.Recheck, since before the stream could be found
	news   news
}

// news is what the parts of a page have not been asked about yet.
type news struct {
	hosts map[core.MAC]bool // nil: none
	free  time.Time         // when the parts may be asked next
}

// leave asks the stream to end. Safe for concurrent use.
func (s *stream) leave() { s.once.Do(func() { close(s.gone) }) }

// Cursor reads where a stream shall go on: the Last-Event-ID of a browser that
// comes back, else ?after=. ok is false when neither is there; ErrInvalid when
// one is no number.
func Cursor(c *fiber.Ctx) (after uint64, ok bool, err error) {
	text := c.Get("Last-Event-ID")
	if text == "" {
		text = c.Query("after")
	}

	if text == "" {
		return 0, false, nil
	}

	after, err = strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false, core.NewProblem(core.ErrInvalid, "events/bad-cursor", "Last-Event-ID and after are sequence numbers.")
	}

	return after, true, nil
}

// Serve answers c with a stream. It returns at once; the stream lives until the
// reader leaves, stalls, may no longer read, or the hub closes.
func (h *Hub) Serve(c *fiber.Ctx, want Want) error {
	s := &stream{
		hub: h, want: want, gone: make(chan struct{}),
		// c is recycled when the handler returns: what the stream needs of it is taken now.
		conn: c.Context().Conn(), down: c.Context().Done(),
	}

	if err := s.findStart(c.UserContext()); err != nil {
		return err
	}

	if !h.enter(s) {
		return core.NewProblem(core.ErrFull, "events/too-many", "Too many live streams are open; close some and try again.")
	}

	c.Set(fiber.HeaderContentType, "text/event-stream")
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set("X-Accel-Buffering", "no")
	c.Context().SetConnectionClose() // the write deadline set here would outlive the stream

	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) {
		defer h.exit(s)

		s.w = w
		s.run(context.Background()) //nolint:forbidigo // the request's context ends before its stream begins; conn and down bound this one
	})

	return nil
}

// findStart settles where the cursor is.
func (s *stream) findStart(ctx context.Context) error {
	end, _ := s.hub.cfg.Bell.After(0)

	if s.want.FromNow {
		s.want.After = end

		return nil
	}

	if s.want.After <= end {
		return nil
	}

	// Ahead of the bell: not rung yet, or the ledger is another one than the
	// reader knows. Look whether its cursor exists.
	return s.hub.cfg.Ledger.View(ctx, func(r core.Reader) error {
		events, err := r.Events(s.want.After-1, 1)
		if err == nil && (len(events) == 0 || events[0].Seq != s.want.After) {
			s.lost = true
		}

		return err
	})
}

// ticks is a clock's channel, or one that never tells, and what stops it.
func ticks(wanted bool, every time.Duration) (<-chan time.Time, func()) {
	if !wanted {
		return nil, func() {}
	}

	tick := time.NewTicker(every)

	return tick.C, tick.Stop
}

// begin says what comes first: when to come back, that something was missed, and the log.
func (s *stream) begin(ctx context.Context) error {
	s.deadline()

	_, _ = s.w.WriteString("retry: 2000\n\n") // an error shows at the flush

	if s.want.Page {
		if err := s.tellClock(); err != nil {
			return err
		}
	}

	if s.lost {
		end, _ := s.hub.cfg.Bell.After(0)
		_ = s.resync(end, "gap")
	}

	return s.tellLog(ctx)
}

// run tells until something ends it.
func (s *stream) run(ctx context.Context) {
	beat := time.NewTicker(s.hub.cfg.Heartbeat)
	defer beat.Stop()

	logs, stop := ticks(s.want.Run != "", s.hub.cfg.LogEvery)
	defer stop()

	clock, stop := ticks(s.want.Page, s.hub.cfg.Clock)
	defer stop()

	looked := s.looked

	if s.begin(ctx) != nil {
		return
	}

	for {
		wake, due, err := s.tellAll(ctx)
		if err != nil {
			return
		}

		select {
		case <-s.down:
			s.goodbye(s.hub.leaving())

			return
		case <-s.hub.bye:
			s.goodbye(s.hub.leaving())

			return
		case <-s.gone:
			s.goodbye("many")

			return
		case <-beat.C:
			if !s.beat(ctx) {
				return
			}
		case <-looked:
			looked = s.hub.looked()

			if !s.beat(ctx) {
				return
			}
		case <-clock:
			if s.tellClock() != nil {
				return
			}
		case <-logs:
			if s.tellLog(ctx) != nil {
				return
			}
		case <-wake:
		case <-due:
		}

		s.deadline()
	}
}

// tellAll tells what there is to tell, and returns the channels that tell when there is more
// (of catchUp and of tellNews).
func (s *stream) tellAll(ctx context.Context) (wake <-chan struct{}, due <-chan time.Time, err error) {
	if wake, err = s.catchUp(ctx); err != nil {
		return nil, nil, err
	}

	if due, err = s.tellNews(ctx); err != nil {
		return nil, nil, err
	}

	return wake, due, s.flush()
}

// tellNews tells the parts of the page that events have changed: at once, and then at most
// every PartEvery, or less often where they take their time to be made. due tells when to try
// again what came too soon; nil: nothing did.
func (s *stream) tellNews(ctx context.Context) (due <-chan time.Time, err error) {
	if s.news.hosts == nil {
		return nil, nil
	}

	if wait := time.Until(s.news.free); wait > 0 {
		return time.After(wait), nil
	}

	hosts, start := s.news.hosts, time.Now()
	s.news.hosts = nil
	err = s.tellParts(ctx, hosts)
	s.news.free = time.Now().Add(max(s.hub.cfg.PartEvery, 4*time.Since(start)))

	return nil, err
}

// tellParts tells what has changed of the page.
func (s *stream) tellParts(ctx context.Context, hosts map[core.MAC]bool) error {
	data, err := s.want.Parts(ctx, hosts)
	if err != nil || data == nil {
		return err
	}

	s.deadline()

	return frame{Event: "part", Data: string(data)}.write(s.w)
}

// beat writes the comment that keeps proxies awake, and is when a reader who
// went away or may no longer read is noticed.
func (s *stream) beat(ctx context.Context) bool {
	s.deadline()

	if s.want.Alive != nil && s.want.Alive(ctx) != nil {
		s.goodbye("logout")

		return false
	}

	if s.want.Parts != nil && s.tellParts(ctx, nil) != nil {
		return false
	}

	_, err := s.w.WriteString(": beat\n\n")

	return err == nil
}

// catchUp tells what has happened past the cursor and returns the channel that
// closes when there is more.
func (s *stream) catchUp(ctx context.Context) (wake <-chan struct{}, err error) {
	for {
		end, wake := s.hub.cfg.Bell.After(s.want.After)
		if wake != nil {
			return wake, nil
		}

		if s.want.Resync > 0 && end-s.want.After > s.want.Resync {
			if err := s.resync(end, "lag"); err != nil {
				return nil, err
			}

			continue
		}

		if err := s.tellEvents(ctx, end); err != nil {
			return nil, err
		}
	}
}

// resync tells a reader to read everything anew who is far behind ("lag"), or whose
// cursor is of another ledger ("gap").
func (s *stream) resync(end uint64, why string) error {
	s.want.After = end
	s.hub.mu.Lock()
	s.hub.resync++
	s.hub.mu.Unlock()

	s.deadline()

	return frame{ID: end, Event: "resync", Data: why}.write(s.w)
}

// tellEvents tells one batch of events up to end at least.
func (s *stream) tellEvents(ctx context.Context, end uint64) error {
	var events []core.Event

	err := s.hub.cfg.Ledger.View(ctx, func(r core.Reader) (err error) {
		events, err = r.Events(s.want.After, batch)

		return err
	})
	if err != nil {
		return fmt.Errorf("reading events: %w", err)
	}

	if len(events) == 0 { // the bell is ahead of what this snapshot shows
		s.want.After = end

		return nil
	}

	for _, e := range events {
		s.want.After = e.Seq

		each, err := e.Each()
		if err != nil {
			return err
		}

		for _, e := range each {
			if err := s.tell(e); err != nil {
				return err
			}
		}
	}

	return s.flush()
}

// tell writes e if it is wanted.
func (s *stream) tell(e core.Event) error {
	if s.want.Chooses != nil && !s.want.Chooses(e) {
		return nil
	}

	if s.want.News && e.Kind != core.EventLog && e.Kind != core.EventSample {
		if s.news.hosts == nil {
			s.news.hosts = map[core.MAC]bool{}
		}

		s.news.hosts[e.Host] = true
	}

	if e.Kind == core.EventLog && s.want.Run != "" {
		return nil // told from the log itself
	}

	f, err := eventFrame(e)
	if err != nil {
		return err
	}

	s.deadline() // for each frame: a reader who is slow and takes them is not stalled

	if err := f.write(s.w); err != nil || !s.want.Page {
		return err
	}

	said, ok := verdictFrame(e)
	if !ok {
		return nil
	}

	return said.write(s.w)
}

// tellClock tells the time, so that a page need not trust its own.
func (s *stream) tellClock() error {
	s.deadline()

	return frame{Event: "clock", Data: `{"now":"` + s.hub.cfg.Now().UTC().Format(time.RFC3339Nano) + `"}`}.write(s.w)
}

// tellLog tells one frame of the run's log, of lines past the last known: a log that
// grows faster than that is read to its end later, or by itself.
func (s *stream) tellLog(ctx context.Context) error {
	if s.want.Run == "" {
		return nil
	}

	news, err := s.hub.cfg.Logs.ReadLog(ctx, s.want.Run, s.want.LogAfter, lines)
	if err != nil || len(news) == 0 {
		return err
	}

	s.want.LogAfter = news[len(news)-1].Seq

	f, err := logFrame(s.want.Run, news)
	if err != nil {
		return err
	}

	s.deadline()

	return f.write(s.w)
}

// flush hands what was written to the reader, who has Stall to take it.
func (s *stream) flush() error {
	s.deadline()

	return s.w.Flush()
}

// deadline is set before anything is written: a full buffer writes itself out,
// and must not run into the deadline of the time before.
func (s *stream) deadline() {
	stall := s.hub.cfg.Stall

	select {
	case <-s.hub.bye:
		stall = farewell
	default:
	}

	_ = s.conn.SetWriteDeadline(time.Now().Add(stall)) // fails only on a closed connection, which the flush tells
}

// goodbye ends the stream in a way the browser can tell from a failure.
func (s *stream) goodbye(why string) {
	_ = s.conn.SetWriteDeadline(time.Now().Add(farewell))

	if (frame{Event: "bye", Data: why}).write(s.w) == nil {
		_ = s.w.Flush() // the reader may be gone already
	}
}
