package ui

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/route"
	"vetting/ui/lookup"
	"vetting/ui/photo"
	"vetting/ui/view"
)

// Bounds of what is handed in with photos: more than other bodies, and for longer, since a
// phone sends them from beside the rack.
const (
	maxPhotos  = view.MaxPhotos
	photosTime = 2 * time.Minute
)

// photoPolicy lets a photo that somebody opens by itself do nothing.
const photoPolicy = "default-src 'none'; sandbox; frame-ancestors 'none'"

// received allows a body with photos, for those who may hand them in. All others get the
// bound of the listener before a byte of it is read.
func (u *UI) received(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	path, _, _ := strings.Cut(string(h.RequestURI()), "?")
	if n := h.ContentLength(); !h.IsPost() || n <= maxBody || n > maxPhotos || !takesPhotos(path) || !u.mayHandIn(h) {
		return fasthttp.RequestConfig{}
	}

	return fasthttp.RequestConfig{MaxRequestBodySize: maxPhotos, ReadTimeout: photosTime}
}

// takesPhotos reports whether a path is one that photos are handed in at.
func takesPhotos(path string) bool {
	if rest, ok := strings.CutPrefix(path, "/api/v1/hosts/"); ok {
		parts := strings.Split(rest, "/")

		return len(parts) == 4 && parts[1] == "notes" && parts[3] == "photos"
	}

	parts := strings.Split(path, "/")

	return len(parts) == 4 && (parts[1] == "hosts" || parts[1] == "runs") && parts[3] == "notes"
}

// mayHandIn reports whether who sends a header may write notes.
func (u *UI) mayHandIn(h *fasthttp.RequestHeader) bool {
	if secret, ok := strings.CutPrefix(string(h.Peek(fiber.HeaderAuthorization)), "Bearer "); ok {
		known, err := u.book.Token(u.life, secret)

		return err == nil && known.Scope.Allows(route.Operate)
	}

	cookie := string(h.Cookie(u.cookieName()))
	if cookie == "" {
		return false
	}

	known, err := u.book.Session(u.life, cookie, false)

	return err == nil && known.Scope.Allows(route.Operate)
}

// tooMuch says why a body was refused before it was read, and sees to it that this arrives.
func (u *UI) tooMuch(c *fiber.Ctx) error {
	linger(c.Context().Conn())

	if u.cfg.Trouble != nil || forPrograms(c.Path()) || !takesPhotos(c.Path()) {
		return fiber.ErrRequestEntityTooLarge
	}

	if _, err := u.who(c); errors.Is(err, core.ErrUnauthorized) {
		return err
	}

	return fiber.NewError(http.StatusRequestEntityTooLarge, fmt.Sprintf(
		"The photos of a note have %d MiB at most, all together. Go back, which keeps what you typed, and add fewer; the others go into another note.", maxPhotos>>20))
}

// noteHandlers pairs the routes of notes with what answers them.
func (u *UI) noteHandlers() map[string]fiber.Handler {
	return map[string]fiber.Handler{
		"notes.list": u.listNotes, "notes.create": u.createNote, "notes.add-photo": u.addPhoto, "notes.photo": u.getPhoto, "notes.delete": u.deleteNote,
	}
}

func (u *UI) listNotes(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	list := route.NoteList{Notes: []core.Note{}}

	err = u.look(c, func(r core.Reader) error {
		host, err := lookup.Host(r, mac)
		if err != nil {
			return err
		}

		all, err := lookup.Notes(r, host.MAC)
		list.Notes = append(list.Notes, all...)

		return err
	})

	return shown(c, http.StatusOK, list, err)
}

func (u *UI) createNote(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	var ask route.NoteCreate
	if err := body(c, &ask); err != nil {
		return err
	}

	made, err := u.cfg.Commands.AddNote(c.UserContext(), caller(c).Name, core.NoteWish{Host: mac, Run: ask.Run, Text: ask.Text})

	return shown(c, http.StatusCreated, made, err)
}

// keepPhoto takes a photo, without what is not the picture.
func (u *UI) keepPhoto(c *fiber.Ctx, data []byte) (core.Photo, error) {
	clean, err := photo.Clean(data)
	if err != nil {
		return core.Photo{}, err
	}

	sum, size, err := u.cfg.Artifacts.KeepArtifact(c.UserContext(), bytes.NewReader(clean.Data), photo.MaxBytes)
	if err != nil {
		return core.Photo{}, err
	}

	return core.Photo{SHA256: sum, Type: clean.Type, Size: size, Width: clean.Width, Height: clean.Height}, nil
}

func (u *UI) addPhoto(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	// Nothing of it is kept unless there is a note that it belongs to.
	if err := u.look(c, func(r core.Reader) error {
		_, err := lookup.Note(r, mac, param(c, "id"))

		return err
	}); err != nil {
		return err
	}

	kept, err := u.keepPhoto(c, c.Body())
	if err != nil {
		return err
	}

	note, err := u.cfg.Commands.AddPhoto(c.UserContext(), caller(c).Name, mac, param(c, "id"), kept)

	return shown(c, http.StatusCreated, note, err)
}

// findPhoto opens the photo that a path names.
func (u *UI) findPhoto(c *fiber.Ctx) (found core.Photo, content io.ReadCloser, err error) {
	mac, err := macOf(c)
	if err != nil {
		return found, nil, err
	}

	err = u.look(c, func(r core.Reader) error {
		found, err = lookup.Photo(r, mac, param(c, "id"), param(c, "sha256"))

		return err
	})
	if err != nil {
		return found, nil, err
	}

	content, err = u.cfg.Artifacts.OpenArtifact(c.UserContext(), found.SHA256)

	return found, content, err
}

func (u *UI) getPhoto(c *fiber.Ctx) error {
	found, content, err := u.findPhoto(c)
	if err != nil {
		return err
	}

	c.Set(fiber.HeaderContentType, route.Binary)
	c.Set(fiber.HeaderContentDisposition, `attachment; filename="`+photoName(&found)+`"`)

	return c.SendStream(content, int(found.Size))
}

// photoOnPage shows a photo. What may be shown is one of three types, which photo.Clean has
// found in the content; a browser is not to guess another.
func (u *UI) photoOnPage(c *fiber.Ctx) error {
	found, content, err := u.findPhoto(c)
	if err != nil {
		return err
	}

	// A browser asks each time whether the photo is still there, and has it sent once.
	tag := `"` + found.SHA256 + `"`

	c.Set("Content-Security-Policy", photoPolicy)
	c.Set(fiber.HeaderCacheControl, "private, no-cache")
	c.Set(fiber.HeaderETag, tag)

	if c.Get(fiber.HeaderIfNoneMatch) == tag {
		return errors.Join(content.Close(), c.SendStatus(http.StatusNotModified))
	}

	c.Set(fiber.HeaderContentType, shownType(found.Type))
	c.Set(fiber.HeaderContentDisposition, `inline; filename="`+photoName(&found)+`"`)

	return c.SendStream(content, int(found.Size))
}

func shownType(kind string) string {
	switch kind {
	case "image/jpeg", "image/png", "image/webp":
		return kind
	default:
		return route.Binary
	}
}

func photoName(p *core.Photo) string {
	_, ending, _ := strings.Cut(shownType(p.Type), "/")

	return "vetting-" + p.SHA256[:12] + "." + strings.Replace(ending, "octet-stream", "bin", 1)
}

func (u *UI) deleteNote(c *fiber.Ctx) error {
	mac, err := macOf(c)
	if err != nil {
		return err
	}

	if err := u.cfg.Commands.RemoveNote(c.UserContext(), caller(c).Name, caller(c).Scope.Allows(route.Admin), mac, param(c, "id")); err != nil {
		return err
	}

	return c.SendStatus(http.StatusNoContent)
}

// notePages registers the orders about notes, and their photos.
func (u *UI) notePages(read, operate fiber.Handler) {
	u.app.Get("/hosts/:mac/notes/:id/photos/:sha256", read, u.photoOnPage)

	for base, notesOf := range map[string]func(*fiber.Ctx) (noted, error){"/hosts/:mac/notes": u.notesOfHost, "/runs/:id/notes": u.notesOfRun} {
		u.app.Post(base, operate, func(c *fiber.Ctx) error {
			of, err := notesOf(c)
			if err == nil {
				err = u.writeNote(c, &of)
			}

			return err
		})
		u.app.Post(base+"/:note/delete", operate, func(c *fiber.Ctx) error {
			of, err := notesOf(c)
			if err == nil {
				err = u.cfg.Commands.RemoveNote(c.UserContext(), caller(c).Name, caller(c).Scope.Allows(route.Admin), of.host, param(c, "note"))
				err = of.after(c, "note-gone", err)
			}

			return err
		})
	}
}

// noted is what the notes of a page are about.
type noted struct {
	host core.MAC
	run  core.RunID // empty: the host
	page string
	show func(why error) error // the page again, with what went wrong
}

func (u *UI) notesOfHost(c *fiber.Ctx) (of noted, err error) {
	mac, err := macOf(c)
	if err != nil {
		return of, err
	}

	err = u.look(c, func(r core.Reader) error {
		host, err := lookup.Host(r, mac)
		of.host = host.MAC

		return err
	})
	of.page = "/hosts/" + string(of.host)
	of.show = func(why error) error {
		return u.showHostWith(c, mac, why, func(page *view.Host) { page.NoteText = c.FormValue("text") })
	}

	return of, err
}

func (u *UI) notesOfRun(c *fiber.Ctx) (noted, error) {
	run, err := u.findRun(c, nil)

	return noted{
		host: run.Host, run: run.ID, page: "/runs/" + string(run.ID), show: func(why error) error { return u.showRun(c, why) },
	}, err
}

// after leads back to the page that a form stands on; what cannot be done is explained there.
func (n *noted) after(c *fiber.Ctx, done string, err error) error {
	switch {
	case err == nil:
		return c.Redirect(n.page+"?done="+done+"#notes", http.StatusSeeOther)
	case mendable(err), errors.Is(err, core.ErrFull):
		return n.show(err)
	default:
		return err
	}
}

// writeNote keeps a note from a form, with its photos; what was typed is kept when it cannot
// be.
func (u *UI) writeNote(c *fiber.Ctx, of *noted) error {
	// The text is looked at first: no photo is stored for a note that is not kept.
	said, err := core.NoteText(c.FormValue("text"))

	var photos []core.Photo
	if err == nil {
		photos, err = u.handedIn(c)
	}

	if err == nil {
		_, err = u.cfg.Commands.AddNote(c.UserContext(), caller(c).Name, core.NoteWish{
			Host: of.host, Run: of.run, Text: said, Photos: photos,
		})
	}

	return of.after(c, "noted", err)
}

// handedIn keeps the photos of a form. A field that was left empty is one without bytes.
func (u *UI) handedIn(c *fiber.Ctx) (list []core.Photo, err error) {
	form, err := c.MultipartForm()
	if err != nil {
		return nil, nil //nolint:nilerr // a form without files
	}

	for _, head := range form.File["photo"] {
		if head.Size == 0 {
			continue
		}

		if len(list) == core.MaxNotePhotos {
			return nil, core.NewProblem(core.ErrInvalid, problem.NoteMany, fmt.Sprintf("A note has %d photos at most; write another for the next.", core.MaxNotePhotos))
		}

		kept, err := u.keepFile(c, head)
		if err != nil {
			return nil, err
		}

		list = append(list, kept)
	}

	return list, nil
}

func (u *UI) keepFile(c *fiber.Ctx, head *multipart.FileHeader) (core.Photo, error) {
	file, err := head.Open()
	if err != nil {
		return core.Photo{}, fmt.Errorf("opening a photo that was handed in: %w", err)
	}

	data, err := io.ReadAll(io.LimitReader(file, photo.MaxBytes+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return core.Photo{}, err
	}

	return u.keepPhoto(c, data)
}
