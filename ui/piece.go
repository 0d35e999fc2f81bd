package ui

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/lookup"
	"vetting/ui/sse"
	"vetting/ui/view"
)

// warnings is what everybody who looks must know of the appliance now.
func (u *UI) warnings() []Warning {
	if u.cfg.Warnings == nil {
		return nil
	}

	return u.cfg.Warnings()
}

// pieces tells the parts of the page that c's stream is of, and whether events change them. Every
// page has the warnings on top; view.FollowsTiles and its like name those that have more.
func (u *UI) pieces(c *fiber.Ctx) (told sse.Parts, news bool, err error) {
	shown, err := paging(c)
	p := &pieces{
		ui: u, page: c.Query("v"), shown: shown, want: view.ReadRackWant(func(key string) string { return c.Query(key) }),
		hosts: hostsWanted(c), frame: view.Frame{User: caller(c).Name, Scope: caller(c).Scope, Insecure: u.cfg.TLS == nil},
		told: map[string]uint64{}, seed: maphash.MakeSeed(),
	}

	return p.changed, view.Parted(p.page), err
}

// pieces is what the reader of one page has been told. Not safe for concurrent use.
type pieces struct {
	ui    *UI
	page  string
	shown lookup.Page // of the list of runs
	want  view.RackWant
	hosts view.HostsWant
	frame view.Frame
	told  map[string]uint64 // the hash of what was told last, by the element's id
	seed  maphash.Seed
}

// partFrame is the data of a part frame.
type partFrame struct {
	Layout *string           `json:"layout,omitempty"` // the page's must be the same, or it is drawn anew
	HTML   map[string]string `json:"html"`             // by the id of the element that it takes the place of
}

// changed is sse.Parts.
func (p *pieces) changed(ctx context.Context, hosts map[core.MAC]bool) ([]byte, error) {
	p.frame.Now, p.frame.Warnings = p.ui.cfg.Now(), p.ui.warnings()
	list, frame := []view.Piece{{ID: "warnings", Draw: view.Warned(p.frame)}}, partFrame{HTML: map[string]string{}}

	if hosts != nil {
		layout, more, err := p.read(ctx, hosts)
		if err != nil {
			return nil, err
		}

		list, frame.Layout = append(list, more...), layout
	}

	var drawn bytes.Buffer

	for _, piece := range list {
		drawn.Reset()

		if err := piece.Draw.Render(ctx, &drawn); err != nil {
			return nil, fmt.Errorf("drawing %s: %w", piece.ID, err)
		}

		if sum := maphash.Bytes(p.seed, drawn.Bytes()); p.told[piece.ID] != sum {
			p.told[piece.ID], frame.HTML[piece.ID] = sum, drawn.String()
		}
	}

	if len(frame.HTML) == 0 && frame.Layout == nil {
		return nil, nil
	}

	data, err := json.Marshal(frame)
	if err != nil {
		return nil, fmt.Errorf("encoding parts of a page: %w", err)
	}

	return data, nil
}

// read looks what the page shows of the hosts now.
func (p *pieces) read(ctx context.Context, hosts map[core.MAC]bool) (layout *string, list []view.Piece, err error) {
	err = p.ui.cfg.Ledger.View(ctx, func(r core.Reader) (err error) {
		switch p.page {
		case view.FollowsQueue:
			runs := view.Runs{Frame: p.frame, Slots: p.ui.slots(), Profiles: p.ui.cfg.Commands.Profiles()}
			err = p.ui.readRuns(r, &runs, p.shown)
			list = runs.Pieces()

			return err
		case view.FollowsHosts:
			page := view.Hosts{Frame: p.frame, Want: p.hosts}
			page.Rows, err = p.ui.wantedHosts(r, &page.Want)
			where := page.Layout()
			layout, list = &where, page.Pieces(hosts)

			return err
		default:
			rack := view.Rack{Frame: p.frame, Want: p.want, Slots: p.ui.slots()}
			rack.Rows, err = p.ui.rows(r)
			where := rack.Layout()
			layout, list = &where, rack.Pieces(hosts)

			return err
		}
	})

	return layout, list, err
}
