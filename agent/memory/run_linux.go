package memory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vetting/agent/worker"
)

// Test is a test of the machine's memory. Root and Runner must be set.
type Test struct {
	Root   fs.FS // of the running machine
	Runner worker.Runner
	// Limit is how many bytes to test at most; 0, and as many as there are or more: all
	// but the reserve.
	Limit uint64
	// CPUs are those that may be used; nil: all that this process may run on.
	CPUs      []int
	Patterns  Patterns
	Passes    int           // 1 or more
	Duration  time.Duration // go on at least as long
	Retention time.Duration // how long memory is left alone, where the patterns say so
	Stream    bool          // measure the bandwidth
	Seed      uint64        // of the contents
	Silence   time.Duration // when a worker counts as hung; 0: a minute
	// SaveEvery is how often Saved is called within a long step; 0: every 30 s.
	SaveEvery time.Duration
	// State is where a test before this one was interrupted; the zero State begins
	// anew.
	State State
	// Progress tells what is being done, how much of all is done, and about how long
	// the rest takes. Saved gets the state whenever it has changed, Found each fault
	// that is told in full. They may be nil, are called from one goroutine at a time,
	// and must not block.
	Progress func(what string, done float64, left time.Duration)
	Saved    func(State)
	Found    func(Fault)
}

// State is how far a test is: what each node's worker has done whole, by node.
type State map[int]Position

// Position is in the passes of one node.
type Position struct {
	Passes int           `json:"passes"`
	Steps  int           `json:"steps"` // of the pass under way
	Spent  time.Duration `json:"spent"`
}

// Report is what came of a test.
type Report struct {
	Total   uint64 // bytes that the kernel manages
	RAM     uint64 // bytes of memory that the firmware told of; 0: not known
	Reserve uint64 // bytes that were to stay free
	Limit   uint64
	Nodes   []NodeReport
	Seed    uint64
	Took    time.Duration
}

// NodeReport is what came of one node.
type NodeReport struct {
	Node

	Exit   worker.Exit
	Kernel string // what compared, and the canary it found
	Taken  Taken
	Stream Stream
	Faults []Fault // the first ones
	Left   []Left  // each time a step ended on another CPU than it began on
	Tally  Tally   // zero when the worker did not come to its end
	Ended  bool    // it did
}

// Tested is how many bytes of the node were tested from the first step to the last.
func (n *NodeReport) Tested() uint64 {
	switch {
	case !n.Ended || n.Tally.Passes == 0:
		return 0
	case n.Tally.Pages.Known:
		return n.Tally.Pages.Tested
	default:
		return n.Taken.Bytes - min(n.Taken.Bytes, n.Tally.Released)
	}
}

// Tested is how many bytes of the machine were.
func (r *Report) Tested() (bytes uint64) {
	for i := range r.Nodes {
		bytes += r.Nodes[i].Tested()
	}

	return bytes
}

// Limited reports whether less was to be tested than there is.
func (r *Report) Limited() bool { return r.Limit != 0 && r.Limit < r.All() }

// All is how many bytes there are to test: what the firmware told of, or what the
// kernel manages where that is not known.
func (r *Report) All() uint64 { return max(r.RAM, r.Total) }

// Run tests the memory. The error says that it could not begin; how each node's
// worker ended is in the report.
func Run(ctx context.Context, t Test) (*Report, error) {
	begin := time.Now()

	nodes, ram, report, err := t.look()
	if err != nil {
		return nil, err
	}

	var (
		work sync.WaitGroup
		meld = newMeld(t, nodes)
	)

	for i, n := range nodes {
		report.Nodes[i].Node = n

		work.Go(func() {
			here := &report.Nodes[i]
			exit := t.Runner.Run(ctx, worker.Spec{
				Kind: Kind, Name: fmt.Sprintf("node%d", n.ID), Config: t.job(n, nodes, ram, report), CPUs: n.CPUs, Silence: cmp.Or(t.Silence, silence), Memory: t.share(n, nodes, report),
			}, func(m worker.Message) { meld.hear(i, here, &m) })
			here.Exit = exit
		})
	}

	work.Wait()

	report.Took = time.Since(begin)

	return report, meld.fault()
}

// silence is how long a thread may not be heard of: on slow machines the kernel
// takes a while to clear a page of 1 GiB.
const silence = time.Minute

// saveEvery is how much of the time that a test has lasted may be forgotten.
const saveEvery = 30 * time.Second

// share is how many bytes a node's worker may come to hold.
func (t Test) share(n Node, nodes []Node, r *Report) uint64 {
	if !r.Limited() {
		return n.Bytes
	}

	return min(n.Bytes, n.share(t.Limit, nodes))
}

// look finds out what there is to test.
func (t Test) look() (nodes []Node, ram []Range, report *Report, err error) {
	allowed, err := allowedCPUs()
	if err != nil {
		return nil, nil, nil, err
	}

	if t.CPUs != nil {
		allowed = slices.DeleteFunc(allowed, func(cpu int) bool { return !slices.Contains(t.CPUs, cpu) })
	}

	if nodes, err = Nodes(t.Root, allowed); err != nil {
		return nil, nil, nil, err
	}

	total, err := Total(t.Root)
	if err != nil {
		return nil, nil, nil, err
	}

	// Without it the test is as good; what was tested is then told by size alone.
	ram, _ = SystemRAM(t.Root) //nolint:errcheck // see above

	return nodes, ram, &Report{
		Total: total, RAM: Sum(ram), Reserve: Reserve(total), Limit: t.Limit, Nodes: make([]NodeReport, len(nodes)), Seed: t.Seed,
	}, nil
}

func (t Test) job(n Node, nodes []Node, ram []Range, r *Report) job {
	at := t.State[n.ID]

	if at.Passes >= t.Passes && at.Spent >= t.Duration {
		at = Position{Passes: t.Passes - 1, Spent: at.Spent} // all was done: what is vouched for must be tested here
	}

	limit := uint64(0)
	if r.Limited() {
		limit = n.share(t.Limit, nodes)
	}

	return job{
		Node: n.ID, Bind: len(nodes) > 1, CPUs: n.CPUs, Remote: n.Remote, Limit: limit, Reserve: r.Reserve,
		NodeReserve: n.share(r.Reserve, nodes), RAM: ram, Cache: cacheShare(t.Root, n.CPUs[0], len(n.CPUs)),
		Patterns: t.Patterns, Passes: t.Passes, Duration: t.Duration, Retention: t.Retention, Stream: t.Stream, Seed: t.Seed,
		Done: at, SaveEvery: cmp.Or(t.SaveEvery, saveEvery),
	}
}

// allowedCPUs are those that this process may run on.
func allowedCPUs() (cpus []int, err error) {
	var set unix.CPUSet

	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("asking which CPUs may be used: %w", err)
	}

	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}

	return cpus, nil
}

// meld makes one progress out of what the workers say. Safe for concurrent use.
type meld struct {
	test  Test
	bytes []uint64 // of each node

	mu    sync.Mutex // guards the rest, and the order of calls to the test's funcs
	begin time.Time  // of the first step
	done  []float64
	state State
	errs  []error
}

func newMeld(t Test, nodes []Node) *meld {
	m := &meld{test: t, begin: time.Now(), done: make([]float64, len(nodes)), state: State{}}
	for _, n := range nodes {
		m.bytes = append(m.bytes, n.Bytes)
		m.state[n.ID] = t.State[n.ID]
	}

	return m
}

// hear takes in a message of the worker of node i.
func (m *meld) hear(i int, into *NodeReport, msg *worker.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()

	switch msg.Type {
	case worker.Canary:
		into.Kernel = msg.Text
	case worker.Progress:
		m.done[i] = msg.Done
		m.tell(fmt.Sprintf("node %d: %s", into.ID, msg.Text))
	case worker.Event:
		if err := m.take(into, msg); err != nil {
			m.errs = append(m.errs, err)
		}
	case worker.Log:
		m.errs = append(m.errs, errors.New(msg.Text))
	default:
	}
}

func (m *meld) take(into *NodeReport, msg *worker.Message) error {
	switch msg.Kind {
	case eventTaken:
		return msg.Decode(&into.Taken)
	case eventStream:
		return msg.Decode(&into.Stream)
	case eventFault:
		var f Fault
		if err := msg.Decode(&f); err != nil {
			return err
		}

		into.Faults = append(into.Faults, f)

		if m.test.Found != nil {
			m.test.Found(f)
		}

		return nil
	case eventLeft:
		var l Left
		if err := msg.Decode(&l); err != nil {
			return err
		}

		into.Left = append(into.Left, l)

		return nil
	case eventStep:
		var at Position
		err := msg.Decode(&at)
		m.state[into.ID] = at
		m.save()

		return err
	case eventTally:
		into.Ended = true

		return msg.Decode(&into.Tally)
	default:
		return fmt.Errorf("hearing the worker of node %d: the event %q is not known", into.ID, msg.Kind)
	}
}

func (m *meld) save() {
	if m.test.Saved == nil {
		return
	}

	m.test.Saved(maps.Clone(m.state))
}

// tell weighs the nodes by their size.
func (m *meld) tell(what string) {
	if m.test.Progress == nil {
		return
	}

	done, all := 0.0, 0.0
	for i, part := range m.done {
		done += part * float64(m.bytes[i])
		all += float64(m.bytes[i])
	}

	done /= max(1, all)
	if done == 0 { // memory is being taken: that says nothing about the rest
		m.begin = time.Now()
	}

	m.test.Progress(what, done, left(time.Since(m.begin), done))
}

// left estimates how long the rest takes; 0 while that is a guess.
func left(spent time.Duration, done float64) time.Duration {
	const enough = 0.01

	if done < enough {
		return 0
	}

	return time.Duration(float64(spent) * (1 - done) / done).Round(time.Second)
}

func (m *meld) fault() error {
	m.mu.Lock()
	defer m.mu.Unlock()

	return errors.Join(m.errs...)
}
