package ui

import (
	"sync"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/ui/view"
)

// ManualPage is a page of the documentation.
type ManualPage struct {
	Topic string // its address below /docs
	Title string
	Text  string // what is searched
	// HTML writes it, for links below base. It is trusted: it comes with the program.
	HTML func(base string) (string, error)
}

// manualBase is where the documentation is served, to anybody: who cannot sign in may need
// it most, and it says nothing about this appliance.
const manualBase = "/docs"

// shelved keeps pages that were written once. Safe for concurrent use; the zero value is
// empty.
type shelved struct {
	mu    sync.Mutex
	pages map[string]string // by topic
}

// get returns a page, written at most once.
func (s *shelved) get(p *ManualPage) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	if text, ok := s.pages[p.Topic]; ok {
		return text, nil
	}

	text, err := p.HTML(manualBase)
	if err != nil {
		return "", err
	}

	if s.pages == nil {
		s.pages = map[string]string{}
	}

	s.pages[p.Topic] = text

	return text, nil
}

// visited is the frame of a page that anybody may see; who is signed in stays so.
func (u *UI) visited(c *fiber.Ctx, title string) (view.Frame, error) {
	if known, err := u.who(c); err == nil {
		c.Locals(callerKey, known)
	}

	return u.frame(c, title, "")
}

// mostSought bounds what is looked for, in bytes.
const mostSought = 100

func (u *UI) manualIndex(c *fiber.Ctx) error {
	frame, err := u.visited(c, "Documentation")
	if err != nil {
		return err
	}

	page := view.ManualIndex{Frame: frame, Sought: c.Query("q")}
	if len(page.Sought) > mostSought {
		return core.NewProblem(core.ErrInvalid, "console/bad-search", "Look for less than 100 letters.")
	}

	for i := range u.cfg.Manual {
		p := &u.cfg.Manual[i]

		entry := view.ManualEntry{Topic: p.Topic, Title: p.Title}
		if page.Sought != "" {
			if entry.Lines = view.Sift(p.Title+"\n"+p.Text, page.Sought); len(entry.Lines) == 0 {
				continue
			}
		}

		page.Entries = append(page.Entries, entry)
	}

	return draw(c, view.ShowManualIndex(&page))
}

func (u *UI) manualPage(c *fiber.Ctx) error {
	topic := param(c, "topic")

	for i := range u.cfg.Manual {
		p := &u.cfg.Manual[i]
		if p.Topic != topic {
			continue
		}

		text, err := u.written.get(p)
		if err != nil {
			return err
		}

		frame, err := u.visited(c, p.Title)
		if err != nil {
			return err
		}

		return draw(c, view.ShowManual(&view.Manual{Frame: frame, Topic: topic, HTML: text}))
	}

	return core.NewProblem(core.ErrNotFound, "console/no-such-page", "There is no such page of the documentation; /docs lists them.")
}
