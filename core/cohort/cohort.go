// Package cohort sets the hosts of one model side by side by what their runs measured, and marks
// what stands out among them. It judges nothing: hosts of one model may differ in their parts.
package cohort

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/catalogue"
)

// What stands out, and among how many. The deviation is the median of the distances from the
// median (MAD), widened so that it is the standard deviation of a normal distribution: unlike
// that, it does not grow with the very values that it is to find.
const (
	Enough  = 5    // measured hosts of a model, below which nothing stands out
	Far     = 3.5  // deviations from the median
	Least   = 0.03 // of the median: closer than that no value stands out, however alike the others are
	Degrees = 3.0  // °C, which are no share of anything, instead
	normal  = 1.4826
)

// Quantity is what is compared: one figure of each host. Of several parts, of which a host may have
// another number than its sister, the slowest or the hottest counts.
type Quantity struct {
	Name  string         // "memory bandwidth"
	Unit  string         // "MiB/s"
	Stage core.StageName // that measures it under load

	kind, quantity string
	highest        bool
}

// Quantities lists what is compared.
func Quantities() []Quantity {
	list := []Quantity{
		{Name: "CPU rate", Stage: core.CPUStress, kind: "cpu", quantity: "fma_gflops"},
		{Name: "CPU clock", Stage: core.CPUStress, kind: "cpu", quantity: "sustained_mhz"},
		{Name: "CPU temperature", Stage: core.CPUStress, kind: "cpu", quantity: "temperature_celsius", highest: true},
		{Name: "memory bandwidth", Stage: core.Memory, kind: "memory", quantity: "triad_mibps"},
		{Name: "disk read", Stage: core.Storage, kind: "disk", quantity: "read_mibps"},
		{Name: "disk write", Stage: core.Storage, kind: "disk", quantity: "write_mibps"},
		{Name: "disk temperature", Stage: core.Storage, kind: "disk", quantity: "temperature_celsius", highest: true},
		{Name: "network sent", Stage: core.Network, kind: "nic", quantity: "sent_mbps"},
		{Name: "network received", Stage: core.Network, kind: "nic", quantity: "received_mbps"},
	}

	for i := range list {
		if e, known := catalogue.Lookup(list[i].kind + "/x/" + list[i].quantity); known {
			list[i].Unit = e.Sign()
		}
	}

	return list
}

// Key names the quantity for programs: "memory_bandwidth".
func (q *Quantity) Key() string { return strings.ReplaceAll(strings.ToLower(q.Name), " ", "_") }

// of is the figure of a host; ok is false where none was measured.
func (q *Quantity) of(figures []core.Figures) (value float64, ok bool) {
	for i := range figures {
		if figures[i].Stage != q.Stage {
			continue
		}

		for key, v := range figures[i].Medians {
			if !strings.HasPrefix(key, q.kind+"/") || !strings.HasSuffix(key, "/"+q.quantity) || math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}

			if !ok || v > value == q.highest {
				value, ok = v, true
			}
		}
	}

	return value, ok
}

// close is how far from the median nothing stands out.
func (q *Quantity) close(median float64) float64 {
	if q.Unit == "°C" {
		return Degrees
	}

	return Least * math.Abs(median)
}

// Host is a host with what the last of its runs that came to a verdict measured.
type Host struct {
	MAC     core.MAC
	Name    string
	Run     core.RunID
	Profile string
	At      time.Time
	Figures []core.Figures
}

// Column is a quantity across the hosts.
type Column struct {
	Quantity

	Measured  int // hosts that have a figure
	Median    float64
	Deviation float64 // widened MAD
}

// Cell is the figure of a host. Off is how far it is from the median, in percent of it, or in °C.
type Cell struct {
	Measured bool
	Value    float64
	Off      float64
	Out      bool // it stands out
}

// Row is a host with a cell for each column.
type Row struct {
	Host  *Host
	Cells []Cell
}

// Outs is how many of its figures stand out.
func (r *Row) Outs() (n int) {
	for _, c := range r.Cells {
		if c.Out {
			n++
		}
	}

	return n
}

// Table is the comparison: columns that any host has a figure of, and all hosts, those first
// of which most stands out.
type Table struct {
	Columns []Column
	Rows    []Row
}

// Compare sets hosts of one model side by side.
func Compare(hosts []Host) Table {
	t := Table{Rows: make([]Row, len(hosts))}

	for i := range hosts {
		t.Rows[i].Host = &hosts[i]
	}

	for _, q := range Quantities() {
		t.add(q)
	}

	slices.SortStableFunc(t.Rows, func(a, b Row) int { return cmp.Compare(b.Outs(), a.Outs()) })

	return t
}

// add adds the column of a quantity, if any host has a figure of it.
func (t *Table) add(q Quantity) {
	cells := make([]Cell, len(t.Rows))

	var values []float64

	for i := range t.Rows {
		if v, ok := q.of(t.Rows[i].Host.Figures); ok {
			cells[i] = Cell{Measured: true, Value: v}
			values = append(values, v)
		}
	}

	if len(values) == 0 {
		return
	}

	c := Column{Quantity: q, Measured: len(values), Median: median(values)}
	distances := make([]float64, len(values))

	for i, v := range values {
		distances[i] = math.Abs(v - c.Median)
	}

	c.Deviation = normal * median(distances)

	for i := range cells {
		if cell := &cells[i]; cell.Measured {
			off := cell.Value - c.Median
			cell.Out = c.Measured >= Enough && math.Abs(off) > max(Far*c.Deviation, q.close(c.Median))
			cell.Off = off

			if q.Unit != "°C" {
				cell.Off = 0
				if c.Median != 0 {
					cell.Off = off / math.Abs(c.Median) * 100
				}
			}
		}

		t.Rows[i].Cells = append(t.Rows[i].Cells, cells[i])
	}

	t.Columns = append(t.Columns, c)
}

// median is that of values, of which there is at least one; they keep their order.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2

	if len(sorted)%2 == 1 {
		return sorted[half]
	}

	return sorted[half-1]/2 + sorted[half]/2
}
