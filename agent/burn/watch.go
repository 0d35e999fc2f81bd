package burn

import (
	"context"
	"maps"
	"sync"
	"time"
)

// Stability is how steadily the machine ran.
type Stability struct {
	// Gap is the longest time for which nothing of this process was given a CPU; it
	// asks to be woken each second.
	Gap time.Duration
	// Slopes are by how many degrees in ten minutes each package still got warmer at
	// the end of the steady load; Watched is for how long that was looked at.
	Slopes  map[int]float64
	Watched time.Duration
	Peak    map[int]float64 // °C of each package
	Idle    map[int]float64 // before the load
}

const (
	wakeEvery = time.Second
	// slopeTime is how much of the end of the steady load is looked at.
	slopeTime = 10 * time.Minute
	coolBy    = 10.0 // °C above idle
)

// watch looks at the machine once a second. Safe for concurrent use.
type watch struct {
	heat func() map[int]float64

	mu      sync.Mutex
	out     Stability       // guarded by mu
	points  map[int][]point // guarded by mu: of the steady load, its last part
	holding bool            // guarded by mu: the load is steady
	latest  map[int]float64 // guarded by mu
}

// point is a temperature at a moment.
type point struct {
	at      time.Duration // since the load is steady
	celsius float64
}

func newWatch(o *Options) *watch {
	return &watch{heat: o.Heat, points: map[int][]point{}, out: Stability{Peak: map[int]float64{}, Idle: map[int]float64{}}}
}

func (w *watch) run(ctx context.Context) {
	ticker := time.NewTicker(wakeEvery)
	defer ticker.Stop()

	var since time.Time // of the steady load

	for last := time.Now(); ctx.Err() == nil; {
		now, heat := time.Now(), w.heat()

		w.mu.Lock()
		w.out.Gap = max(w.out.Gap, now.Sub(last))
		w.latest = heat

		if !w.holding {
			since = now
		}

		for pack, v := range heat {
			if was, ok := w.out.Peak[pack]; !ok || v > was {
				w.out.Peak[pack] = v
			}

			if w.holding {
				w.points[pack] = recent(append(w.points[pack], point{now.Sub(since), v}))
			}
		}
		w.mu.Unlock()

		last = now

		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// recent forgets what is too long ago.
func recent(points []point) []point {
	newest := points[len(points)-1].at
	for len(points) > 2 && newest-points[0].at > slopeTime {
		points = points[1:]
	}

	return points
}

// rested notes how warm the machine is without work.
func (w *watch) rested() {
	w.mu.Lock()
	defer w.mu.Unlock()

	maps.Copy(w.out.Idle, w.latest)
}

// steady and plateau are the ends of the steady load.
func (w *watch) steady() {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.holding = true
}

func (w *watch) plateau() {
	w.mu.Lock()
	defer w.mu.Unlock()

	w.holding, w.out.Slopes = false, map[int]float64{}

	for pack, points := range w.points {
		w.out.Slopes[pack] = slope(points) * slopeTime.Seconds()
		w.out.Watched = max(w.out.Watched, points[len(points)-1].at-points[0].at)
	}
}

// slope is the line of least squares through the points, in °C a second.
func slope(points []point) float64 {
	var meanT, meanV float64

	n := float64(len(points))
	for _, p := range points {
		meanT, meanV = meanT+p.at.Seconds()/n, meanV+p.celsius/n
	}

	var above, below float64

	for _, p := range points {
		t := p.at.Seconds() - meanT
		above, below = above+t*(p.celsius-meanV), below+t*t
	}

	if below == 0 {
		return 0
	}

	return above / below
}

// isCool reports whether all packages are nearly as cool as before the load.
func (w *watch) isCool() bool {
	w.mu.Lock()
	defer w.mu.Unlock()

	for pack, v := range w.latest {
		if idle, ok := w.out.Idle[pack]; ok && v > idle+coolBy {
			return false
		}
	}

	return true
}

func (w *watch) report() Stability {
	w.mu.Lock()
	defer w.mu.Unlock()

	return w.out
}
