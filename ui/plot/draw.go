package plot

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
)

// The picture, in its own units: the room for the numbers at the left and below,
// and for the names of the stages above.
const (
	width, height             = 480, 210
	left, right, above, below = 52, 10, 20, 24
)

func (c *Chart) x(at time.Time) float64 {
	span := c.to.Sub(c.from)
	if span <= 0 {
		return left
	}

	part := float64(at.Sub(c.from)) / float64(span)

	return left + min(1, max(0, part))*(width-left-right)
}

// bounds are the values at the bottom and the top, with some air.
func (c *Chart) bounds() (low, top float64) {
	air := (c.top - c.low) * 0.06
	if air == 0 {
		air = max(1, math.Abs(c.top)*0.05)
	}

	return c.low - air, c.top + air
}

func (c *Chart) y(v float64) float64 {
	low, top := c.bounds()

	return above + (top-v)/(top-low)*(height-above-below)
}

func coordinate(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }

// stretches cuts a line where nothing was measured for long.
func stretches(points []Point) (all [][]Point) {
	typical := points[len(points)-1].Time.Sub(points[0].Time) / time.Duration(len(points)-1)
	begin := 0

	for i := 1; i <= len(points); i++ {
		if i == len(points) || points[i].Time.Sub(points[i-1].Time) > 6*typical {
			all = append(all, points[begin:i])
			begin = i
		}
	}

	return all
}

// path is the line of the means.
func (c *Chart) path(l Line) string {
	var b strings.Builder

	for _, s := range stretches(l.points) {
		for i, p := range s {
			letter := "L"
			if i == 0 {
				letter = "M"
			}

			b.WriteString(letter + coordinate(c.x(p.Time)) + " " + coordinate(c.y(p.Mean)))
		}

		if len(s) == 1 {
			b.WriteString("h2") // a point has no length, and would not be seen
		}
	}

	return b.String()
}

// area is what lies between the lowest and the highest; empty where they are one.
func (c *Chart) area(l Line) string {
	var b strings.Builder

	for _, s := range stretches(l.points) {
		spread := false

		for i, p := range s {
			spread = spread || p.Max > p.Min

			letter := "L"
			if i == 0 {
				letter = "M"
			}

			b.WriteString(letter + coordinate(c.x(p.Time)) + " " + coordinate(c.y(p.Max)))
		}

		for _, p := range slices.Backward(s) {
			b.WriteString("L" + coordinate(c.x(p.Time)) + " " + coordinate(c.y(p.Min)))
		}

		b.WriteString("Z")

		if !spread {
			b.Reset()
		}
	}

	return b.String()
}

// scale tells a script how to read the picture back: the moments at its left and right
// (milliseconds since 1970), the values at its bottom and top, and the unit.
func (c *Chart) scale() string {
	low, top := c.bounds()

	return fmt.Sprintf("%d %d %s %s %s", c.from.UnixMilli(), c.to.UnixMilli(),
		strconv.FormatFloat(low, 'g', 6, 64), strconv.FormatFloat(top, 'g', 6, 64), c.Unit)
}

// heights are the values with a line of their own: round numbers, four or so.
func (c *Chart) heights() (ticks []tick) {
	low, top := c.bounds()

	step := math.Pow(10, math.Floor(math.Log10((top-low)/4)))
	for _, by := range []float64{1, 2, 5, 10} {
		if (top-low)/(step*by) <= 5 {
			step *= by

			break
		}
	}

	for v := math.Ceil(low/step) * step; v <= top; v += step {
		ticks = append(ticks, tick{c.y(v), number(math.Round(v/step)*step + 0)})
	}

	return ticks
}

// times are the moments written below.
func (c *Chart) times() (ticks []tick) {
	const parts = 3

	layout := "15:04"
	if c.to.Sub(c.from) < 10*time.Minute {
		layout = "15:04:05"
	} else if c.to.Sub(c.from) > 36*time.Hour {
		layout = "2 Jan 15:04"
	}

	for i := range parts {
		at := c.from.Add(c.to.Sub(c.from) * time.Duration(i) / (parts - 1))
		ticks = append(ticks, tick{c.x(at), at.UTC().Format(layout)})
	}

	return ticks
}

// anchor keeps the words at both ends inside the picture.
func anchor(i, n int) string {
	switch i {
	case 0:
		return "start"
	case n - 1:
		return "end"
	default:
		return "middle"
	}
}

// named reports whether there is room for the name of the i-th stage.
func (c *Chart) named(i int) bool {
	const letter = 6.6

	end := float64(width - right)
	if i+1 < len(c.marks) {
		end = c.marks[i+1].at
	}

	return end-c.marks[i].at > letter*float64(len(c.marks[i].word))
}

func lineClass(i int) string { return "k" + strconv.Itoa(i) }

func limitClass(s core.Severity) string {
	if s == core.Critical {
		return "lim fail"
	}

	return "lim warn"
}

func box() string { return fmt.Sprintf("0 0 %d %d", width, height) }
