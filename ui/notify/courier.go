package notify

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/core"
	"vetting/core/signal"
)

// Cursor keeps how far the ledger was read. Book is one.
type Cursor interface {
	// Cursor returns the number of the last event that was dealt with. Where none
	// was ever kept, it is the last event there is: history is not told.
	Cursor(ctx context.Context) (uint64, error)
	// Advance returns when seq is on stable storage.
	Advance(ctx context.Context, seq uint64) error
}

// Outcomes takes what came of a message. Book is one.
type Outcomes interface {
	Delivered(ctx context.Context, outcome core.Delivery) error
}

// Ports is what a Courier needs. Now and Client may be nil.
type Ports struct {
	Ledger   core.Ledger
	Bell     *signal.Bell
	Cursor   Cursor
	Outcomes Outcomes
	Log      *slog.Logger
	Now      func() time.Time
	Client   *http.Client
}

const (
	defaultTimeout = 10 * time.Second
	// maxWaiting bounds the messages of one target that are under way or wait.
	maxWaiting = 64
	// maxAtOnce bounds those that are under way.
	maxAtOnce = 4
	// page is how many events are read at once.
	page = 256
	// stride is how far the cursor may lag behind while there is nothing to tell.
	stride = 10_000
	// firstPause is between the first and the second attempt; it doubles.
	firstPause = time.Second
	// afterwards is the time to keep an outcome when the appliance stops.
	afterwards = 2 * time.Second
	// faultPause is before the ledger is read again after it could not be.
	faultPause = 10 * time.Second

	// breath is how long to wait after events that are all of samples: with many hosts
	// they come hundreds of times a second, and each look at the ledger costs.
	breath = 100 * time.Millisecond
)

// Courier tells people what the ledger says. Safe for concurrent use.
type Courier struct {
	ports Ports
	again sync.Mutex // held while a message is sent again

	mu  sync.Mutex // guards what is below
	now plan
	did map[tally]int // since the start
}

// tally tells the counts apart.
type tally struct {
	target string
	ok     bool
}

// Count is how many messages to a target arrived, or did not, since the start.
type Count struct {
	Target string
	OK     bool
	N      int
}

// Counts lists how many messages there were, by target.
func (c *Courier) Counts() []Count {
	c.mu.Lock()
	defer c.mu.Unlock()

	all := make([]Count, 0, len(c.did))
	for of, n := range c.did {
		all = append(all, Count{of.target, of.ok, n})
	}

	slices.SortFunc(all, func(a, b Count) int {
		if order := strings.Compare(a.Target, b.Target); order != 0 || a.OK == b.OK {
			return order
		}

		return map[bool]int{true: -1, false: 1}[a.OK]
	})

	return all
}

// plan is a configuration with what its targets need. It never changes.
type plan struct {
	config Config
	desks  map[string]*desk
}

// desk is a target at work.
type desk struct {
	target  Target
	sender  sender
	waiting chan struct{} // holds one for each message that waits or is under way
	active  chan struct{} // holds one for each that is under way
	crowd   crowd
}

// New returns a Courier, or what is wrong with config. It talks to nobody.
func New(config Config, ports Ports) (*Courier, error) {
	if ports.Now == nil {
		ports.Now = time.Now
	}

	if ports.Client == nil {
		ports.Client = newClient()
	}

	if ports.Log == nil {
		ports.Log = slog.New(slog.DiscardHandler)
	}

	c := &Courier{ports: ports, did: map[tally]int{}}

	return c, c.Reload(config)
}

// Reload puts another configuration in force; messages under way go on as they
// were. When config is wrong, the error says how and the old one stays.
func (c *Courier) Reload(config Config) error {
	if err := config.Validate(); err != nil {
		return fmt.Errorf("checking the notifications: %w", err)
	}

	if config.Timeout <= 0 {
		config.Timeout = defaultTimeout
	}

	next := plan{config: config, desks: map[string]*desk{}}

	for _, t := range config.Targets {
		d := &desk{target: t, waiting: make(chan struct{}, maxWaiting), active: make(chan struct{}, maxAtOnce)}

		var err error
		if d.sender, err = newSender(&d.target, c.ports.Client, c.ports.Now); err != nil {
			return fmt.Errorf("notifiers.%s: %w", t.Name, err)
		}

		next.desks[t.Name] = d
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	c.now = next

	return nil
}

func (c *Courier) plan() plan {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.now
}

// TargetInfo is what may be shown of a target.
type TargetInfo struct {
	Name     string `json:"name"`
	Kind     Kind   `json:"kind"`
	Attempts int    `json:"attempts"`
}

// Targets lists the targets in the order of the configuration.
func (c *Courier) Targets() []TargetInfo {
	config := c.plan().config
	all := make([]TargetInfo, 0, len(config.Targets))

	for i := range config.Targets {
		t := &config.Targets[i]
		all = append(all, TargetInfo{Name: t.Name, Kind: t.Kind, Attempts: max(1, t.Attempts)})
	}

	return all
}

// Routes lists what is sent where.
func (c *Courier) Routes() []Route { return slices.Clone(c.plan().config.Routes) }

// Run reads the ledger until ctx ends, and returns when nothing is under way any
// more. A ledger that cannot be read for a while is read again.
func (c *Courier) Run(ctx context.Context) error {
	var under sync.WaitGroup
	defer under.Wait()

	at, err := c.ports.Cursor.Cursor(ctx)
	for err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}

		c.ports.Log.Warn("cursor of notifications not read", slog.Any("error", err))

		if err := pause(ctx, faultPause); err != nil {
			return err
		}

		at, err = c.ports.Cursor.Cursor(ctx)
	}

	r := reader{courier: c, at: at, kept: at, under: &under}

	for {
		if err := r.next(ctx); err != nil {
			return err
		}
	}
}

// reader is Run's place in the ledger.
type reader struct {
	courier *Courier
	at      uint64 // read up to here
	kept    uint64 // on stable storage
	under   *sync.WaitGroup
}

// next waits for a page of events and deals with it. Its error is that of ctx.
func (r *reader) next(ctx context.Context) error {
	seq, wake := r.courier.ports.Bell.After(r.at)

	events, err := r.events(ctx)

	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		r.courier.ports.Log.Warn("ledger not read for notifications", slog.Any("error", err))

		return pause(ctx, faultPause)
	case len(events) > 0:
		if err := r.deal(ctx, events); err != nil || len(events) == page || slices.ContainsFunc(events, isNews) {
			return err
		}

		return pause(ctx, breath)
	case wake == nil: // the bell is ahead of what can be read: it rang for a write without events
		r.at = max(r.at, seq)

		return nil
	}

	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
		return nil
	}
}

func (r *reader) events(ctx context.Context) (events []core.Event, err error) {
	err = r.courier.ports.Ledger.View(ctx, func(look core.Reader) (err error) {
		events, err = look.Events(r.at, page)

		return err
	})

	return events, err
}

// isNews reports whether an event is of more than samples.
func isNews(e core.Event) bool { return e.Kind != core.EventSample }

// letter is a message and where it goes.
type letter struct {
	message message
	desks   []*desk
}

// deal moves the cursor past the events, and only then sends what they tell.
func (r *reader) deal(ctx context.Context, events []core.Event) error {
	plan := r.courier.plan()
	letters := plan.letters(events)
	last := events[len(events)-1].Seq

	if len(letters) > 0 || last >= r.kept+stride {
		if err := r.courier.ports.Cursor.Advance(ctx, last); err != nil {
			r.courier.ports.Log.Warn("cursor of notifications not kept", slog.Any("error", err))

			return pause(ctx, faultPause) // then the same events again
		}

		r.kept = last
	}

	r.at = last

	for _, l := range letters {
		for _, d := range l.desks {
			r.courier.dispatch(ctx, r.under, d, l.message, &plan.config)
		}
	}

	return nil
}

// letters returns what there is to tell, and to whom.
func (p plan) letters(events []core.Event) []letter {
	var all []letter

	for _, event := range events {
		m, ok := read(event, p.config.Console)
		if !ok {
			continue
		}

		if desks := p.route(m); len(desks) > 0 {
			all = append(all, letter{m, desks})
		}
	}

	return all
}

// route returns where a message goes, each desk once.
func (p plan) route(m message) []*desk {
	var to []*desk

	for _, r := range p.config.Routes {
		if len(r.Topics) > 0 && !slices.Contains(r.Topics, m.topic) || len(r.Severities) > 0 && !slices.Contains(r.Severities, m.severity) {
			continue
		}

		for _, name := range r.To {
			if d := p.desks[name]; d != nil && !slices.Contains(to, d) {
				to = append(to, d)
			}
		}
	}

	return to
}

// dispatch starts a delivery. It never waits for the target.
func (c *Courier) dispatch(ctx context.Context, under *sync.WaitGroup, d *desk, m message, config *Config) {
	if d.target.Kind != Webhook {
		switch d.crowd.take(m, c.ports.Now()) {
		case goes: // as below
		case joins:
			return
		case opens:
			under.Go(func() { c.gather(ctx, d, config) })

			return
		case drops:
			c.refuse(ctx, d, m)

			return
		}
	}

	select {
	case d.waiting <- struct{}{}:
	default:
		c.refuse(ctx, d, m)

		return
	}

	under.Go(func() {
		defer func() { <-d.waiting }()

		c.keep(ctx, c.deliver(ctx, d, m, config.Timeout))
	})
}

// Test sends a message to one target now, whatever the routes say, keeps its
// outcome and returns it. core.ErrNotFound for a target that there is none.
func (c *Courier) Test(ctx context.Context, target string) (core.Delivery, error) {
	plan := c.plan()

	d := plan.desks[target]
	if d == nil {
		return core.Delivery{}, noTarget(target)
	}

	outcome := c.deliver(ctx, d, trial(target, c.ports.Now(), plan.config.Console), plan.config.Timeout)
	c.keep(ctx, outcome)

	return outcome, nil
}

func (d *desk) outcome(m message) core.Delivery {
	return core.Delivery{
		Event: m.seq, Topic: m.topic, Severity: m.severity, Target: d.target.Name, Kind: string(d.target.Kind),
		Host: m.host, Run: m.run, Text: m.title,
	}
}

// deliver tries as often as the target says.
func (c *Courier) deliver(ctx context.Context, d *desk, m message, limit time.Duration) core.Delivery {
	outcome := d.outcome(m)

	var (
		err  error
		took time.Duration
	)

	for i := range max(1, d.target.Attempts) {
		if i > 0 {
			if pause(ctx, firstPause<<(i-1)) != nil {
				break
			}
		}

		start := c.ports.Now()
		err = d.try(ctx, m, limit)
		took = c.ports.Now().Sub(start)
		outcome.Attempts++

		if err == nil || !again(err) {
			break
		}
	}

	outcome.OK, outcome.Time, outcome.Took = err == nil, c.ports.Now(), took
	if err != nil {
		outcome.Code, outcome.Detail = codeOf(err), d.target.detail(err)
	}

	return outcome
}

// try is one attempt, once it is its turn.
func (d *desk) try(ctx context.Context, m message, limit time.Duration) (err error) {
	select {
	case d.active <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}

	defer func() { <-d.active }()

	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("sending broke: %v", r)
		}
	}()

	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	err = d.sender.send(ctx, m)
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // libraries do not always say that it was the time
	}

	return err
}

// keep writes an outcome down, also when the appliance stops.
func (c *Courier) keep(ctx context.Context, outcome core.Delivery) {
	c.mu.Lock()
	c.did[tally{outcome.Target, outcome.OK}]++
	c.mu.Unlock()

	if !outcome.OK {
		c.ports.Log.Warn("notification not delivered", slog.String("target", outcome.Target), slog.String("code", outcome.Code),
			slog.Uint64("seq", outcome.Event), slog.String("detail", outcome.Detail))
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), afterwards)
	defer cancel()

	if err := c.ports.Outcomes.Delivered(ctx, outcome); err != nil {
		c.ports.Log.Warn("outcome of notification not kept", slog.String("target", outcome.Target), slog.Any("error", err))
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
