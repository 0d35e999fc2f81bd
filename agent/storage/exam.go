package storage

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"vetting/agent/blockdev"
	"vetting/core/problem"
)

const (
	// most is how many wrong things are kept of a disk; with as many its test ends.
	most = 64
	// compareEach: of so many requests of a disk that is only read one is read twice.
	compareEach = 16
	// leasePatience is how long a test waits for a lease.
	leasePatience = 10 * time.Minute
	leasePoll     = time.Second
	// goneAfter is how many requests in a row may fail before the disk is asked whether
	// it is still there.
	goneAfter = 3
	// mostFailed is how many requests may fail until the test of the disk ends, and
	// mostLocated in how many of them the block is looked for: each may take the disk
	// half a minute.
	mostFailed  = 16
	mostLocated = 4
)

// medium is a disk that is written: a *blockdev.Device.
type medium interface {
	io.ReaderAt
	// WriteTimed writes, and says how long the disk itself took.
	WriteTimed(p []byte, offset int64) (n int, took time.Duration, err error)
	Flush() error
	Discard(offset, length int64, secure bool) error
	// Erase has the disk make all of itself unreadable, and says how.
	// errors.ErrUnsupported where it cannot, or not without hitting others.
	Erase(ctx context.Context, p blockdev.Progress) (how string, err error)
}

// exam is the test of one disk. Its fields up to mu are set before it begins and do not
// change.
type exam struct {
	Disk

	plan    Plan
	seed    uint64
	pattern *pattern
	reader  io.ReaderAt
	writer  medium // nil: it is only read
	buffer  func(size int) ([]byte, error)
	free    func([]byte)
	moved   func()                                // something was done: it does not hang
	keep    func(ctx context.Context) (kept bool) // returns when what it tells is kept for a later process; nil: nobody keeps it

	mu     sync.Mutex // guards the rest
	tally  Tally
	curves map[act]*curve
	failed map[int64]bool // offsets of requests that could not be written
	row    int            // failures in a row
	fails  int            // failures in all
	gone   bool           // the disk does not answer any more
	stop   context.CancelFunc
}

// tested reports whether a worker before this one has brought the test to its end.
func (e *exam) tested() bool { return e.Resume != nil && e.Resume.Over }

// awaits reports whether a worker before this one has told the disk to erase itself.
func (e *exam) awaits() bool {
	return e.Resume != nil && !e.Resume.Over && e.Resume.Mark.Erasing != nil
}

// begin makes what changes.
func (e *exam) begin() {
	if e.Resume != nil {
		e.tally = *e.Resume
		e.tally.Refused = nil
	}

	e.tally.ID, e.tally.Name, e.tally.Serial, e.tally.WWN = e.ID, e.Name, e.Serial, e.WWN
	e.curves = map[act]*curve{actRead: newCurve(e.Bytes), actWrite: newCurve(e.Bytes)}
	e.failed = map[int64]bool{}

	if !e.tested() && !e.awaits() {
		e.tally.Wrote = e.writer != nil
		e.tally.Total = bytesOf(e.plan.steps(e.Bytes, e.writer != nil))
	}
}

func (e *exam) stamp(offset int64, pass uint32) Stamp {
	return Stamp{Seed: e.seed, Disk: diskID(e.Serial), Offset: uint64(offset), Pass: pass}
}

// run tests the disk. When ctx ends the tally says how far it came.
func (e *exam) run(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()

	steps := e.plan.steps(e.Bytes, e.writer != nil)

	e.mu.Lock()
	e.stop = stop
	mark := e.tally.Mark
	e.mu.Unlock()

	// A disk that was begun has had its canary.
	if begun := mark.Step > 0 || mark.Piece > 0; e.writer != nil && !begun && !e.canary(ctx) {
		return
	}

	for i := mark.Step; i < len(steps); i++ {
		from := 0
		if i == mark.Step {
			from = mark.Piece
		}

		e.skipped(steps[:i], &steps[i], from)

		if !e.walk(ctx, i, &steps[i], from) {
			return
		}
	}

	// What is being given up cannot be verified any more.
	if mark.Step < len(steps) && !e.random(ctx, steps[len(steps)-1]) {
		return
	}

	e.finish(ctx, steps)
}

// skipped counts what an earlier worker did as done.
func (e *exam) skipped(before []step, now *step, from int) {
	done := bytesOf(before)

	for n := range from {
		done += int64(now.at(n).length)
	}

	e.mu.Lock()
	defer e.mu.Unlock()

	e.tally.Done = done
}

// walk does one step, from one request on, with as many at a time as the disk takes. It
// returns whether the step came to its end.
func (e *exam) walk(ctx context.Context, index int, s *step, from int) bool {
	e.mu.Lock()
	e.tally.Step = s.name
	e.mu.Unlock()

	var (
		work  sync.WaitGroup
		begin = time.Now()
		mine  = newOrder(from, s.pieces.count)
		depth = min(max(e.Depth, 1), max(s.pieces.count-from, 1))
	)

	// Together they may be of large pages.
	all, err := e.buffer(depth * request)
	if err != nil {
		return e.unfinished("", err)
	}
	defer e.free(all)

	for buffer := range slices.Chunk(all, request) {
		work.Go(func() {
			for n, ok := mine.take(); ok && ctx.Err() == nil; n, ok = mine.take() {
				p := s.at(n)
				if !e.do(ctx, s, n, p, buffer[:p.length]) {
					return
				}

				low := mine.done(n)

				e.mu.Lock()
				e.tally.Mark.Step, e.tally.Mark.Piece = index, low
				e.tally.Done += int64(p.length)
				e.mu.Unlock()
			}
		})
	}

	work.Wait()

	whole := ctx.Err() == nil && mine.over()
	if whole && s.act == actWrite {
		if err := e.writer.Flush(); err != nil {
			e.wrong(Wrong{Kind: WriteError, Pass: s.pass, Text: "flushing its cache: " + err.Error()})
		}
	}

	e.mu.Lock()
	defer e.mu.Unlock()

	switch {
	case s.act == actWrite:
		e.tally.Writing += time.Since(begin)
	case !s.backwards:
		e.tally.Reading += time.Since(begin)
	}

	return whole && ctx.Err() == nil
}

// order hands out the requests of a step. Safe for concurrent use.
type order struct {
	mu     sync.Mutex // guards the rest
	next   int
	end    int
	flying map[int]bool
}

func newOrder(from, end int) *order { return &order{next: from, end: end, flying: map[int]bool{}} }

func (o *order) take() (n int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()

	if o.next >= o.end {
		return 0, false
	}

	n = o.next
	o.next++
	o.flying[n] = true

	return n, true
}

// done takes a request back, and returns the first that is not done.
func (o *order) done(n int) (low int) {
	o.mu.Lock()
	defer o.mu.Unlock()

	delete(o.flying, n)

	low = o.next
	for other := range o.flying {
		low = min(low, other)
	}

	return low
}

func (o *order) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()

	return o.next >= o.end && len(o.flying) == 0
}

// do does one request. It returns false when the test of the disk is at its end.
func (e *exam) do(ctx context.Context, s *step, n int, p piece, buffer []byte) bool {
	defer e.moved()

	switch s.act {
	case actWrite:
		e.pattern.fill(buffer, e.stamp(p.offset, s.pass))

		return e.write(ctx, p, s.pass, buffer)
	case actVerify:
		e.mu.Lock()
		lost := e.failed[p.offset]
		e.mu.Unlock()

		if lost {
			return true // it is told already
		}

		return !e.readAs(p, s, buffer) || e.verify(buffer, p.offset, s.pass)
	default:
		return !e.read(p, 0, buffer) || n%compareEach != 0 || e.compare(p, buffer)
	}
}

// write writes a request, and waits for the lease where there is none.
func (e *exam) write(ctx context.Context, p piece, pass uint32, buffer []byte) bool {
	for waited := time.Duration(0); ; waited += leasePoll {
		_, took, err := e.writer.WriteTimed(buffer, p.offset)

		switch refused := (*blockdev.Refused)(nil); {
		case err == nil:
			e.mu.Lock()
			defer e.mu.Unlock()

			e.row = 0
			e.tally.Writes.Add(took)
			e.tally.Mark.Written += int64(p.length)
			e.tally.Bytes.Written += int64(p.length)
			e.curves[actWrite].add(p.offset, p.length, took)

			return true
		case errors.Is(err, blockdev.ErrNoLease) && waited < leasePatience:
			e.moved()

			if !pause(ctx, leasePoll) {
				return false
			}
		case errors.Is(err, blockdev.ErrNoLease):
			return e.unfinished(problem.StorageNoLease, err)
		case errors.As(err, &refused):
			for _, r := range refused.Decision.Reasons {
				e.unfinished(r.Code, errors.New(r.Evidence))
			}

			return false
		case errors.Is(err, blockdev.ErrLook):
			return e.unanswered(err)
		default:
			e.mu.Lock()
			e.failed[p.offset] = true
			e.mu.Unlock()

			return e.broken(WriteError, p, pass, err)
		}
	}
}

// unanswered ends the test of a disk that could not be looked at again: it is gone where
// it cannot be read either, and else nothing is said against it. It returns false.
func (e *exam) unanswered(cause error) bool {
	buffer, err := e.buffer(BlockSize)
	if err != nil {
		return e.unfinished("", err)
	}
	defer e.free(buffer)

	if _, err := e.reader.ReadAt(buffer, 0); err != nil {
		e.vanished(fmt.Sprintf("%v; its first block cannot be read either: %v", cause, err))

		return false
	}

	return e.unfinished(problem.StorageNotTested, cause)
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// read reads a request into the buffer, and returns whether it came.
func (e *exam) read(p piece, pass uint32, buffer []byte) bool {
	return e.readAs(p, &step{pass: pass}, buffer)
}

// readAs reads a request of a step. How fast a disk is backwards is no measure of it: one
// that turns waits for almost a turn before each request.
func (e *exam) readAs(p piece, s *step, buffer []byte) bool {
	begin := time.Now()
	_, err := e.reader.ReadAt(buffer, p.offset)
	took := time.Since(begin)

	if err != nil {
		return e.broken(ReadError, e.locate(p, buffer), s.pass, err) && false
	}

	e.mu.Lock()
	defer e.mu.Unlock()

	e.row = 0
	e.tally.Reads.Add(took)
	e.tally.Mark.Read += int64(p.length)
	e.tally.Bytes.Read += int64(p.length)

	if s.backwards {
		e.tally.Bytes.Backwards += int64(p.length)
	} else {
		e.curves[actRead].add(p.offset, p.length, took)
	}

	return true
}

// locate halves a request that failed until the block is found that cannot be read.
// Where both halves can be read now, it is the request as a whole.
func (e *exam) locate(p piece, buffer []byte) piece {
	bad := p

	e.mu.Lock()
	enough := e.fails >= mostLocated
	e.mu.Unlock()

	for !enough && bad.length > BlockSize {
		half := bad.length / 2 / BlockSize * BlockSize
		if half == 0 {
			break
		}

		e.moved()

		if _, err := e.reader.ReadAt(buffer[:half], bad.offset); err != nil {
			bad.length = half

			continue
		}

		rest := piece{bad.offset + int64(half), bad.length - half}
		if _, err := e.reader.ReadAt(buffer[:rest.length], rest.offset); err == nil {
			break
		}

		bad = rest
	}

	return bad
}

// verify looks at what was read. It returns false when the disk has too much wrong.
func (e *exam) verify(buffer []byte, offset int64, pass uint32) bool {
	good := 0

	for at := 0; at+BlockSize <= len(buffer); at += BlockSize {
		b, want := buffer[at:at+BlockSize:at+BlockSize], e.stamp(offset+int64(at), pass)

		if e.pattern.right(b, want) {
			good += BlockSize

			continue
		}

		if !e.wrong(e.pattern.judge(b, want)) {
			return false
		}
	}

	e.mu.Lock()
	defer e.mu.Unlock()

	e.tally.Mark.Verified += int64(good)

	return true
}

// compare reads a request again, and a third time where the two differ.
func (e *exam) compare(p piece, buffer []byte) bool {
	if e.tally.InUse { // set before the test begins
		return true
	}

	table := e.pattern.table
	first := crc32.Checksum(buffer, table)

	if !e.read(p, 0, buffer) {
		return true
	}

	second := crc32.Checksum(buffer, table)
	if first == second {
		e.mu.Lock()
		defer e.mu.Unlock()

		e.tally.Mark.Compared += int64(p.length)

		return true
	}

	text := "the second reading gave other data"
	if e.read(p, 0, buffer) {
		if third := crc32.Checksum(buffer, table); third == first || third == second {
			text += "; the third agrees with one of the two"
		}
	}

	return e.wrong(Wrong{Kind: Unsteady, Offset: p.offset, Length: p.length, Text: text})
}

// broken notes a request that failed, and asks whether the disk is still there where
// many did.
func (e *exam) broken(kind Kind, p piece, pass uint32, cause error) bool {
	if !e.wrong(Wrong{Kind: kind, Offset: p.offset, Length: p.length, Pass: pass, Text: cause.Error()}) {
		return false
	}

	e.mu.Lock()
	e.row++
	e.fails++
	ask, enough := e.row >= goneAfter && !e.gone, e.fails >= mostFailed

	if enough {
		e.stop()
	}

	e.mu.Unlock()

	if enough {
		return false
	}

	if !ask {
		return true
	}

	buffer, err := e.buffer(BlockSize)
	if err != nil {
		return e.unfinished("", err)
	}
	defer e.free(buffer)

	if _, err := e.reader.ReadAt(buffer, 0); err != nil {
		e.vanished(fmt.Sprintf("after %d requests that failed its first block cannot be read either: %v", goneAfter, err))

		return false
	}

	return true
}

// vanished notes, once, that the disk does not answer any more, which ends its test.
func (e *exam) vanished(how string) {
	e.mu.Lock()
	told := e.gone
	e.gone = true
	e.mu.Unlock()

	if !told {
		e.wrong(Wrong{Kind: Vanished, Text: how})
	}

	e.mu.Lock()
	defer e.mu.Unlock()

	e.stop()
}

// wrong notes something that is wrong. It returns false when there was too much, which
// ends the test of the disk.
func (e *exam) wrong(w Wrong) bool {
	e.mu.Lock()
	defer e.mu.Unlock()

	if e.tally.Mark.Wrongs++; len(e.tally.Mark.Wrong) < most {
		e.tally.Mark.Wrong = append(e.tally.Mark.Wrong, w)
	}

	if e.tally.Mark.Wrongs >= most {
		e.stop()

		return false
	}

	return true
}

// unfinished ends the test for a reason that is not the disk's. It returns false.
func (e *exam) unfinished(code string, cause error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()

	// All the requests that are under way may meet the same.
	if w := (Wrong{Kind: Unfinished, Code: code, Text: cause.Error()}); !slices.Contains(e.tally.Mark.Wrong, w) {
		e.tally.Mark.Wrong = append(e.tally.Mark.Wrong, w)
	}

	e.stop()

	return false
}

// canary writes a request with a flipped bit and two swapped blocks to the disk, and
// demands that reading it shows all three.
func (e *exam) canary(ctx context.Context) bool {
	length := int(min(request, e.Bytes/BlockSize*BlockSize))

	buffer, err := e.buffer(request)
	if err != nil {
		return e.unfinished("", err)
	}
	defer e.free(buffer)

	blocks := length / BlockSize
	if blocks < 4 {
		return e.unfinished("", fmt.Errorf("%d bytes are no disk", e.Bytes))
	}

	flipped, swapped := blocks/2, 1
	plant := buffer[:length]

	e.pattern.fill(plant, e.stamp(0, 1))
	plant[flipped*BlockSize+BlockSize/3] ^= 0x10

	e.pattern.block(plant[swapped*BlockSize:(swapped+1)*BlockSize], e.stamp(int64(swapped+1)*BlockSize, 1))
	e.pattern.block(plant[(swapped+1)*BlockSize:(swapped+2)*BlockSize], e.stamp(int64(swapped)*BlockSize, 1))

	p := piece{0, length}
	if !e.write(ctx, p, 1, plant) {
		return false
	}

	clear(plant)

	if !e.read(p, 1, plant) {
		return true // the disk is at fault, as the test will show
	}

	// What is there may be neither right nor what was planted: then the disk is at fault,
	// as the test will show.
	for _, i := range []int{flipped, swapped, swapped + 1} {
		if e.pattern.right(plant[i*BlockSize:(i+1)*BlockSize], e.stamp(int64(i)*BlockSize, 1)) {
			return e.unfinished(problem.StorageCanary, fmt.Errorf("block %d was planted as wrong and not found", i))
		}
	}

	return true
}

// random reads single blocks all over what was tested, for a while, and verifies them
// where they are ours.
func (e *exam) random(ctx context.Context, last step) bool {
	e.mu.Lock()
	e.tally.Step = "random reads"
	e.mu.Unlock()

	if last.pieces.bytes < BlockSize {
		return ctx.Err() == nil // not a single block
	}

	buffer, err := e.buffer(BlockSize)
	if err != nil {
		return e.unfinished("", err)
	}
	defer e.free(buffer)

	chance := rand.New(rand.NewPCG(e.seed, diskID(e.Serial))) //nolint:gosec // an order, no secret

	for begin := time.Now(); time.Since(begin) < e.plan.Random && ctx.Err() == nil; {
		offset := last.pieces.place(chance.Uint64N)
		start := time.Now()
		_, err := e.reader.ReadAt(buffer, offset)
		took := time.Since(start)

		e.moved()

		if err != nil {
			if !e.broken(ReadError, piece{offset, BlockSize}, last.pass, err) {
				return false
			}

			continue
		}

		e.mu.Lock()
		e.tally.Random.Add(took)
		lost := len(e.failed) > 0 || e.tally.Mark.Wrongs > 0
		e.mu.Unlock()

		if last.act == actVerify && !lost && !e.verify(buffer, offset, last.pass) {
			return false
		}
	}

	return ctx.Err() == nil
}

// finish gives back to the disk what it need not keep.
func (e *exam) finish(ctx context.Context, steps []step) {
	e.mu.Lock()
	e.tally.Step = "finish"
	e.tally.Mark.Step, e.tally.Mark.Piece, e.tally.Done = len(steps), 0, e.tally.Total
	clean := e.tally.Mark.Wrongs == 0
	e.mu.Unlock()

	outcome := ""

	// What is wrong stays where it is, for who looks into it.
	if e.writer != nil && clean && e.plan.Discard != "" && ctx.Err() == nil {
		if e.keeping(ctx) { // a worker after this one must not look for what is gone
			outcome = e.giveAllUp(ctx, steps)
		} else {
			outcome = "NOT discarded: " + errUnkept.Error()
		}
	}

	// One that was left in the midst of it is not over.
	if ctx.Err() == nil {
		e.over(outcome)
	}
}

// errUnkept: what may not be done twice, or unknown to a later worker, is not done.
var errUnkept = errors.New("the agent could not write down beforehand that it begins")

// keeping returns whether how the test stands is kept, if somebody does.
func (e *exam) keeping(ctx context.Context) (kept bool) {
	return e.keep == nil || e.keep(ctx)
}

// over ends the test, with what came of giving up what was written.
func (e *exam) over(outcome string) {
	e.mu.Lock()
	defer e.mu.Unlock()

	e.tally.Discard, e.tally.Over = outcome, true
}

// CannotDiscard is the outcome where a disk knows no discards.
const CannotDiscard = "not discarded: the disk cannot"

// giveAllUp gives up what was written, and says what came of it. A disk that can erase
// itself does so where the data is to be unreadable, whole: all of it was armed.
func (e *exam) giveAllUp(ctx context.Context, steps []step) (outcome string) {
	if e.plan.Discard != "secure" {
		return e.discardAll(ctx, steps, "discarded", "")
	}

	how, err := e.erase(ctx)

	switch {
	case errors.Is(err, errors.ErrUnsupported):
		outcome = e.discardAll(ctx, steps, "discarded securely", " ("+err.Error()+")")
	case err != nil:
		return "NOT discarded: " + strings.TrimPrefix(how+": "+err.Error(), ": ")
	default:
		outcome = "erased: " + how
	}

	if strings.HasPrefix(strings.ToLower(outcome), "not ") {
		return outcome
	}

	if why := e.remains(ctx, steps); why != "" {
		return "NOT discarded, although the disk says so (" + outcome + "): " + why
	}

	return outcome
}

// progress hears how the erasing of the disk stands.
func (e *exam) progress(ctx context.Context) blockdev.Progress {
	return blockdev.Progress{
		Note: func(n blockdev.Erasure) error {
			e.mu.Lock()
			e.tally.Mark.Erasing = &n
			e.mu.Unlock()

			if !e.keeping(ctx) {
				return errUnkept
			}

			return nil
		},
		Told: func(done float64) {
			e.moved()

			e.mu.Lock()
			defer e.mu.Unlock()

			e.tally.Step = "erase"
			if done > 0 {
				e.tally.Step = fmt.Sprintf("erase, %.0f %% done", 100*done)
			}
		},
	}
}

// erase has the disk erase itself, and waits for the lease where there is none.
func (e *exam) erase(ctx context.Context) (how string, err error) {
	for waited := time.Duration(0); ; waited += leasePoll {
		how, err = e.writer.Erase(ctx, e.progress(ctx))
		if err != nil && !errors.Is(err, blockdev.ErrErase) {
			e.mu.Lock()
			e.tally.Mark.Erasing = nil // it was told nothing, or has refused
			e.mu.Unlock()
		}

		if !errors.Is(err, blockdev.ErrNoLease) || waited >= leasePatience {
			return how, err
		}

		e.moved()

		if !pause(ctx, leasePoll) {
			return how, err
		}
	}
}

// readable reads the first block.
func (e *exam) readable(r io.ReaderAt) error {
	buffer, err := e.buffer(BlockSize)
	if err != nil {
		return err
	}
	defer e.free(buffer)

	_, err = r.ReadAt(buffer, 0)

	return err
}

// remains looks here and there whether what was written can still be read. It returns
// what speaks against it that all is gone.
func (e *exam) remains(ctx context.Context, steps []step) (why string) {
	const looks = 256

	pieces := steps[len(steps)-1].pieces

	buffer, err := e.buffer(BlockSize)
	if err != nil {
		return err.Error()
	}
	defer e.free(buffer)

	for i := range min(looks, pieces.count) {
		if ctx.Err() != nil {
			return "it was not looked at to the end"
		}

		offset := pieces.at(i * pieces.count / min(looks, pieces.count)).offset
		if _, err := e.reader.ReadAt(buffer, offset); err != nil {
			return fmt.Sprintf("it cannot be read at %d: %v", offset, err)
		}

		e.moved()

		if _, ours := e.pattern.read(buffer); ours {
			return fmt.Sprintf("what was written at %d is still there", offset)
		}
	}

	return ""
}

// discardAll discards what was written, stretch by stretch.
func (e *exam) discardAll(ctx context.Context, steps []step, done, whyElse string) (outcome string) {
	const stretch = 1 << 30

	for _, s := range []*step{&steps[0], &steps[len(steps)-1]} {
		for _, span := range s.pieces.spans {
			for at := int64(0); at < span.length; at += stretch {
				err := e.giveUp(ctx, span.offset+at, min(stretch, span.length-at))
				e.moved()

				switch {
				case errors.Is(err, errors.ErrUnsupported):
					return CannotDiscard + whyElse
				case err != nil:
					return "NOT discarded: " + err.Error()
				}
			}
		}
	}

	return done
}

// giveUp discards a range, and waits for the lease where there is none.
func (e *exam) giveUp(ctx context.Context, offset, length int64) error {
	for waited := time.Duration(0); ; waited += leasePoll {
		err := e.writer.Discard(offset, length, e.plan.Discard == "secure")
		if !errors.Is(err, blockdev.ErrNoLease) || waited >= leasePatience {
			return err
		}

		e.moved()

		if !pause(ctx, leasePoll) {
			return err
		}
	}
}

// told is how the test stands, and at its end the curves.
func (e *exam) told(end bool) Tally {
	e.mu.Lock()
	defer e.mu.Unlock()

	t := e.tally
	t.Mark.Wrong = sortOut(t.Mark.Wrong)

	t.Reads, t.Writes, t.Random = clone(t.Reads), clone(t.Writes), clone(t.Random)

	if !end {
		return t
	}

	t.Curves = map[string][]Point{}
	if t.Slow == nil {
		t.Slow = map[string][]Point{}
	}

	for a, c := range e.curves {
		points := c.points(max(e.Depth, 1))
		if len(points) == 0 {
			continue
		}

		const kept = 256

		t.Curves[string(a)] = thin(points, kept)
		t.Slow[string(a)] = thin(slow(points), kept)
	}

	return t
}

func clone(h Histogram) Histogram {
	h.Counts = append([]uint64(nil), h.Counts...)

	return h
}
