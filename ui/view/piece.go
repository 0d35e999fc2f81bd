package view

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/a-h/templ"

	"vetting/core"
	"vetting/ui/text"
)

// Piece is an element of a page that is told by itself when it changes.
type Piece struct {
	ID   string // of the element
	Draw templ.Component
}

func (h *HostRow) tileID() string { return "tile-" + string(h.Host.MAC) }

func (h *HostRow) slotID() string { return "slot-" + string(h.Host.MAC) }

func (h *HostRow) rowID() string { return "row-" + string(h.Host.MAC) }

func (r Rack) layout() string { return layoutOf(r.groups()) }

func (h *Hosts) layout() string {
	return layoutOf([]rackGroup{{Name: strconv.Itoa(len(h.Rows)), Rows: h.Want.Chosen(h.Rows)}})
}

// layoutOf names which hosts are shown and where: while it stays the same, what changes is
// within their tiles or rows, and in the pieces above them.
func layoutOf(groups []rackGroup) string {
	sum := sha256.New()

	for _, g := range groups {
		sum.Write([]byte(g.Name + "\n"))

		for _, h := range g.Rows {
			sum.Write([]byte(h.slotID() + " " + text.Line(h.Host.Rack) + "\n"))
		}
	}

	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// Layout is where the hosts stand on the page; a page of another one has to be drawn anew.
// So has an empty one always, for what it says is not of hosts.
func (r Rack) Layout() string {
	if len(r.Rows) == 0 {
		return ""
	}

	return r.layout()
}

// Layout is that of Rack.
func (h *Hosts) Layout() string {
	if len(h.Rows) == 0 {
		return ""
	}

	return h.layout()
}

// Pieces are what may have changed after something happened to hosts.
func (h *Hosts) Pieces(hosts map[core.MAC]bool) (list []Piece) {
	for _, row := range h.Want.Chosen(h.Rows) {
		if hosts[row.Host.MAC] {
			list = append(list, Piece{row.rowID(), hostLine(row, h.Frame, &h.Want)})
		}
	}

	return list
}

// Pieces are what may have changed after something happened to hosts.
func (r Rack) Pieces(hosts map[core.MAC]bool) []Piece {
	list := []Piece{{"rack-summary", rackSummary(r)}, {"sum", rackSum(r)}, {"decide", decide(r.decisions())}}

	for _, h := range r.chosen() {
		switch {
		case !hosts[h.Host.MAC]:
		case r.Want.Look == "elevation":
			list = append(list, Piece{h.slotID(), slot(h)})
		case r.Want.Look == "list":
			list = append(list, Piece{h.rowID(), hostLine(h, r.Frame, nil)})
		default:
			list = append(list, Piece{h.tileID(), tile(r.Frame, h)})
		}
	}

	return list
}

// Pieces are what may have changed after something happened.
func (r *Runs) Pieces() []Piece {
	return []Piece{{"runs-summary", runsSummary(r)}, {"queue", queuePart(r)}, {"running", goingPart(r)}, {"runs", finishedPart(r)}}
}
