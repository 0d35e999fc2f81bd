package storage

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"vetting/agent/blockdev"
)

// Medium is a disk that is written.
type Medium = medium

func plain() (func(int) ([]byte, error), func([]byte)) {
	return func(n int) ([]byte, error) { return make([]byte, n), nil }, func([]byte) {}
}

// Examine tests one disk; it is written where w is not nil.
func Examine(ctx context.Context, d Disk, plan Plan, seed uint64, r io.ReaderAt, w Medium) Tally {
	e := &exam{Disk: d, plan: plan, seed: seed, pattern: newPattern(), reader: r, writer: w, moved: func() {}, stop: func() {}}
	e.buffer, e.free = plain()
	e.begin()
	e.run(ctx)

	return e.told(true)
}

// ExamineIn tests one disk by writing, with buffers of a kind.
func ExamineIn(ctx context.Context, d Disk, plan Plan, seed uint64, w Medium, buffer func(int) ([]byte, error), free func([]byte)) Tally {
	e := &exam{Disk: d, plan: plan, seed: seed, pattern: newPattern(), reader: w, writer: w, moved: func() {}, stop: func() {}, buffer: buffer, free: free}
	e.begin()
	e.run(ctx)

	return e.told(true)
}

// Fill makes the blocks of a disk.
func Fill(b []byte, serial string, seed uint64, offset int64, pass uint32) {
	newPattern().fill(b, Stamp{Seed: seed, Disk: diskID(serial), Offset: uint64(offset), Pass: pass})
}

// Judge says what is wrong with a block.
func Judge(b []byte, serial string, seed uint64, offset int64, pass uint32) (w Wrong, right bool) {
	p, s := newPattern(), Stamp{Seed: seed, Disk: diskID(serial), Offset: uint64(offset), Pass: pass}
	if p.right(b, s) {
		return w, true
	}

	return p.judge(b, s), false
}

// Ours reports whether a block is one of any test of ours.
func Ours(b []byte) bool {
	_, ok := newPattern().read(b)

	return ok
}

// View is a disk as the probe for foreign data sees it.
func View(r io.ReaderAt, size int64) io.ReaderAt {
	return &view{disk: r, size: size, pattern: newPattern(), buffer: make([]byte, request), moved: func() {}}
}

// Spread returns where samples lie, as offset and length.
func Spread(size int64, share float64, places int, unit int64) (spans [][2]int64) {
	for _, s := range spread(size, share, places, unit) {
		spans = append(spans, [2]int64{s.offset, s.length})
	}

	return spans
}

// Requests lists the requests of spans.
func Requests(spans [][2]int64) (list [][2]int64) {
	var s []span
	for _, one := range spans {
		s = append(s, span{one[0], one[1]})
	}

	p := cut(s)
	for n := range p.count {
		one := p.at(n)
		list = append(list, [2]int64{one.offset, int64(one.length)})
	}

	return list
}

// Slow are the points that are slow.
func Slow(points []Point) []Point { return slow(points) }

type noLane struct{}

func (noLane) Tick() {}
func (noLane) End()  {}

// Crew runs a job over a layer; disks that are read come from readers.
func Crew(ctx context.Context, job Job, layer blockdev.Asker, readers func(Disk) (io.ReaderAt, error), look Look, now func() time.Time, orders <-chan Order) map[string]Tally {
	return CrewHeard(ctx, job, layer, readers, look, now, orders, func(Tally) {})
}

// CrewHeard is Crew with somebody who hears what is told.
func CrewHeard(ctx context.Context, job Job, layer blockdev.Asker, readers func(Disk) (io.ReaderAt, error), look Look, now func() time.Time, orders <-chan Order, heard func(Tally)) map[string]Tally {
	return CrewKept(ctx, job, layer, readers, look, now, orders, func(t Tally) bool {
		heard(t)

		return true
	})
}

// CrewKept is Crew with somebody who hears what is told, and says whether it is kept.
func CrewKept(ctx context.Context, job Job, layer blockdev.Asker, readers func(Disk) (io.ReaderAt, error), look Look, now func() time.Time, orders <-chan Order, heard func(Tally) (kept bool)) map[string]Tally {
	last := map[string]Tally{}
	told := make(chan Tally)
	c := &crew{
		Job: job, layer: layer, live: true, look: look, now: now, pattern: newPattern(), lane: func(string) lane { return noLane{} },
		tell: func(t Tally) { told <- t }, // and it is kept, see below
		reader: func(d Disk) (reader, bool, error) {
			r, err := readers(d)

			return closed{r}, false, err
		},
	}
	c.buffer, c.free = plain()

	go func() {
		for o := range orders {
			c.obey(o)
		}
	}()

	go func() {
		defer close(told)
		c.run(ctx)
	}()

	for t := range told {
		last[t.Key()] = t

		if heard(t) {
			c.kept.Store(max(c.kept.Load(), t.Note))
		}
	}

	return last
}

// SayAndNote tells how a disk stands and, while that is on its way, changes it and has that
// noted. It returns what was heard.
func SayAndNote() (heard []Tally) {
	var all sync.WaitGroup

	x, first := &exam{}, true
	c := &crew{}
	c.tell = func(t Tally) {
		if first {
			first = false

			all.Go(func() {
				x.mu.Lock()
				x.tally.Mark.Erasing = &blockdev.Erasure{Name: "Format NVM"}
				x.mu.Unlock()

				c.note(x)
			})
			time.Sleep(50 * time.Millisecond) // it comes first, if it can
		}

		heard = append(heard, t)
	}

	c.say(x, false)
	all.Wait()

	return heard
}

type closed struct{ io.ReaderAt }

func (closed) Close() error { return nil }

// Canary runs the canary of the worker.
func Canary() bool { return (&crew{pattern: newPattern()}).canary() }

// ReadOrder lists the offsets at which each step of a plan begins its requests, by its name.
func ReadOrder(plan Plan, size int64) map[string][]int64 {
	order := map[string][]int64{}

	for _, s := range plan.steps(size, true) {
		name := fmt.Sprintf("%s %d", s.name, s.pass)
		for n := range s.pieces.count {
			order[name] = append(order[name], s.at(n).offset)
		}
	}

	return order
}
