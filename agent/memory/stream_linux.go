package memory

import (
	"context"
	"time"

	"vetting/agent/memory/pattern"
)

const (
	streamRounds = 5
	streamLeast  = 64 << 20 // bytes of each of the three arrays of a thread, where there are so many
)

// stream measures what the node's memory moves in a second with all its cores at
// once: STREAM's copy and triad, the best of several rounds.
func (w *crew) stream(ctx context.Context) (best Stream) {
	w.child.Progress(0, "bandwidth")

	moved := uint64(0)

	for _, l := range w.lanes {
		moved += l.lend(max(streamLeast, w.job.Cache))
	}

	w.timed(func(l *lane) { l.ones(ctx) })

	for range streamRounds {
		if ctx.Err() != nil {
			break
		}

		copied := w.timed(func(l *lane) { l.kernel.Copy(l.arrays[0], l.arrays[1]) })
		summed := w.timed(func(l *lane) { l.kernel.Triad(l.arrays[0], l.arrays[1], l.arrays[2]) })
		best.Copy = max(best.Copy, 2*float64(moved)/copied.Seconds())
		best.Triad = max(best.Triad, 3*float64(moved)/summed.Seconds())
	}

	return best
}

// lend cuts three arrays of so many bytes at most out of the lane's first plot, and
// returns the size of one; 0 when the lane has no memory.
func (l *lane) lend(most int) (bytes uint64) {
	if len(l.plots) == 0 {
		return 0
	}

	area := l.plots[0].area
	tiles := min(area.Tiles()/len(l.arrays), most/pattern.TileBytes)

	for i := range l.arrays {
		l.arrays[i] = area.Part(i*tiles, (i+1)*tiles)
	}

	return uint64(tiles) * pattern.TileBytes
}

// timed has the lanes do something and returns the time from the first beginning to
// the last end.
func (w *crew) timed(do func(l *lane)) time.Duration {
	err := w.each(w.job.CPUs, func(l *lane) error {
		l.span[0] = time.Now()

		do(l)
		l.tick.Tick()

		l.span[1] = time.Now()

		return nil
	})
	if err != nil {
		w.child.Log("measuring the bandwidth: " + err.Error())
	}

	first, last := w.lanes[0].span[0], w.lanes[0].span[1]

	for _, l := range w.lanes[1:] {
		if l.span[0].Before(first) {
			first = l.span[0]
		}

		if l.span[1].After(last) {
			last = l.span[1]
		}
	}

	return max(last.Sub(first), time.Nanosecond)
}

// ones fills the arrays with the number that is calculated with.
func (l *lane) ones(ctx context.Context) {
	for _, a := range l.arrays {
		s := pattern.Sweep{
			Kernel: l.kernel, Area: a, Miss: func(pattern.Miss) {},
			Step: func(int, int) bool { l.tick.Tick(); return ctx.Err() == nil },
		}
		s.Run(pattern.Fill, pattern.Content{}, pattern.One())
	}
}
