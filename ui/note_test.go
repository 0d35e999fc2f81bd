package ui_test

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui"
	"vetting/ui/canned"
)

// file is one that is handed in with a form.
type file struct {
	name string
	data []byte
}

// withFiles makes the body of a form with files, and its media type.
func withFiles(t *testing.T, text string, files ...file) (body, kind string) {
	t.Helper()

	var out bytes.Buffer

	form := multipart.NewWriter(&out)
	if err := form.WriteField("text", text); err != nil {
		t.Fatal(err)
	}

	for _, f := range files {
		part, err := form.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {fmt.Sprintf(`form-data; name="photo"; filename=%q`, f.name)}, "Content-Type": {"text/html"},
		})
		if err != nil {
			t.Fatal(err)
		}

		if _, err := part.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}

	if err := form.Close(); err != nil {
		t.Fatal(err)
	}

	return out.String(), form.FormDataContentType()
}

// large is a photo of about so many bytes.
func large(t *testing.T, bytesWanted int) []byte {
	t.Helper()

	var plain bytes.Buffer
	if err := jpeg.Encode(&plain, image.NewRGBA(image.Rect(0, 0, 8, 8)), nil); err != nil {
		t.Fatal(err)
	}

	out := plain.Bytes()[:plain.Len()-2]

	return append(append(out, make([]byte, bytesWanted)...), 0xff, 0xd9) // what is between is coded picture to us
}

func TestANoteWithPhotosFromAForm(t *testing.T) {
	t.Parallel()

	var asked []string

	b := open(t, canned.Full, random)
	b.commands.OnRun = func(word string, run core.RunID) (core.Run, error) {
		asked = append(asked, word+" of "+string(run))

		return core.Run{ID: run}, nil
	}

	b.signIn()
	operator, viewer := b.member("otto", route.Operator), b.member("vera", route.Viewer)
	base, _ := b.listen()
	host, run := "/hosts/"+string(canned.Host), "/runs/"+string(canned.Run)

	send := func(path, cookie, body, kind string) answer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}

		for k, v := range map[string]string{"Cookie": cookie, "Sec-Fetch-Site": "same-origin", "Content-Type": kind} {
			req.Header.Set(k, v)
		}

		return b.over(req)
	}

	empty := file{name: "", data: nil} // a field in which nothing was chosen
	three := withLarge(t, "The fan rattles.", large(t, 3<<20), empty, file{"../../etc/passwd", canned.Picture()})

	if got := send(host+"/notes", operator, three.body, three.kind); got.status != http.StatusSeeOther || got.header.Get("Location") != host+"?done=noted#notes" {
		t.Errorf("with three megabytes: %d %.300s", got.status, got.body)
	}

	if got := send(run+"/notes", operator, three.body, three.kind); got.status != http.StatusSeeOther || got.header.Get("Location") != run+"?done=noted#notes" {
		t.Errorf("of a run: %d %.300s", got.status, got.body)
	}

	want := []string{`note "The fan rattles." with 2 photos of `, `note "The fan rattles." with 2 photos of ` + string(canned.Run)}
	if strings.Join(asked, "|") != strings.Join(want, "|") {
		t.Errorf("asked for %q", asked)
	}

	asked = nil

	body, kind := withFiles(t, "typed <b>text</b>", file{"a.jpg", []byte("<html><script>alert(1)</script>")})
	for _, page := range []string{host, run} {
		got := send(page+"/notes", operator, body, kind)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "no photo that can be kept") || !strings.Contains(got.body, "typed &lt;b&gt;text&lt;/b&gt;") {
			t.Errorf("a page instead of a photo, %s: %d", page, got.status)
		}
	}

	for name, c := range map[string]struct{ path, cookie, body, kind, want string }{
		"a viewer":              {host + "/notes", viewer, body, kind, "403"},
		"a viewer, much":        {host + "/notes", viewer, three.body, three.kind, "413"},
		"nobody, much":          {host + "/notes", "", three.body, three.kind, "401"},
		"much of something":     {host + "/delete", operator, three.body, three.kind, "413"},
		"more than is taken":    {host + "/notes", operator, strings.Repeat("x", 15<<20+1), three.kind, "413"},
		"a host that is not":    {"/hosts/52:54:00:aa:aa:aa/notes", operator, body, kind, "404"},
		"a form that is broken": {host + "/notes", operator, "--x\r\nbroken", "multipart/form-data; boundary=x", "400"},
	} {
		got := send(c.path, c.cookie, c.body, c.kind)
		if fmt.Sprint(got.status) != c.want {
			t.Errorf("%s: %d, want %s", name, got.status, c.want)
		}

		if name == "more than is taken" && !strings.Contains(got.body, "15 MiB at most, all together") {
			t.Errorf("%s: %.300s", name, got.body)
		}
	}

	if len(asked) != 0 {
		t.Errorf("asked all the same: %q", asked)
	}
}

type sent struct{ body, kind string }

func withLarge(t *testing.T, text string, photo []byte, more ...file) sent {
	t.Helper()

	body, kind := withFiles(t, text, append([]file{{"IMG_0001.JPG", photo}}, more...)...)

	return sent{body, kind}
}

// over sends a request by a real connection.
func (b *bench) over(req *http.Request) answer {
	b.t.Helper()

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

	res, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}

	defer func() { _ = res.Body.Close() }()

	var text bytes.Buffer

	_, _ = text.ReadFrom(res.Body)

	return answer{res.StatusCode, res.Header, text.String()}
}

// A photo is shown as one of three types and may do nothing, whatever it holds.
func TestAPhotoIsServedSafely(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	auth := "Bearer " + b.token("read")
	path := "/hosts/" + string(canned.Host) + "/notes/" + canned.NoteID + "/photos/"

	got := b.ask("GET", path+canned.PictureSum(), "", "Authorization", auth)
	if got.status != http.StatusOK || got.body != string(canned.Picture()) {
		t.Fatalf("%d, %d bytes", got.status, len(got.body))
	}

	for name, want := range map[string]string{
		"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
		"Content-Disposition": `inline; filename="vetting-` + canned.PictureSum()[:12] + `.png"`, "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q", name, got.header.Get(name))
		}
	}

	for name, path := range map[string]string{
		"a file that is no photo":  path + strings.Repeat("5e", 32),
		"of another note":          "/hosts/" + string(canned.Host) + "/notes/01JD4X00000000000000000091/photos/" + canned.PictureSum(),
		"of another host":          "/hosts/52:54:00:00:00:12/notes/" + canned.NoteID + "/photos/" + canned.PictureSum(),
		"a path out of the folder": path + "..%2f..%2fetc%2fpasswd",
	} {
		if got := b.ask("GET", path, "", "Authorization", auth); got.status != http.StatusNotFound {
			t.Errorf("%s: %d", name, got.status)
		}
	}

	again := b.ask("GET", path+canned.PictureSum(), "", "Authorization", auth, "If-None-Match", `"`+canned.PictureSum()+`"`)
	if again.status != http.StatusNotModified || again.body != "" || got.header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("asked again: %d %q, kept as %q", again.status, again.body, got.header.Get("Cache-Control"))
	}

	if got := b.ask("GET", path+canned.PictureSum(), ""); got.status != http.StatusSeeOther {
		t.Errorf("nobody: %d", got.status)
	}
}

// A run stays when its host is deleted, with the photos of its notes.
func TestThePhotosOfADeletedHost(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	if _, err := b.ledger.Update(t.Context(), func(txn core.Txn) error { return txn.Delete(core.TableHost, string(canned.Host)) }); err != nil {
		t.Fatal(err)
	}

	auth := "Bearer " + b.token("read")
	for _, base := range []string{"", "/api/v1"} {
		path := base + "/hosts/" + string(canned.Host) + "/notes/" + canned.NoteID + "/photos/" + canned.PictureSum()
		if got := b.ask("GET", path, "", "Authorization", auth); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}

// Who wrote a note removes it, or an administrator; others are not offered to.
func TestWhoMayRemoveANote(t *testing.T) {
	t.Parallel()

	var asked string

	b := open(t, canned.Full, func(cfg *ui.Config) { random(cfg) })
	b.commands.OnRun = func(word string, run core.RunID) (core.Run, error) {
		asked = word

		return core.Run{ID: run}, nil
	}

	b.signIn()

	for name, c := range map[string]struct {
		role    route.Role
		offered int
		others  string
	}{"ruth": {route.Operator, 1, "false"}, "paul": {route.Operator, 0, "false"}, "root": {route.Administrator, 2, "true"}, "vera": {route.Viewer, 0, ""}} {
		cookie := b.member(name, c.role)
		page := b.ask("GET", "/hosts/"+string(canned.Host), "", "Cookie", cookie).body

		if got := strings.Count(page, `id="confirm-note-`); got != c.offered {
			t.Errorf("%s is offered to remove %d", name, got)
		}

		asked = ""
		got := b.ask("POST", "/hosts/"+string(canned.Host)+"/notes/"+canned.NoteID+"/delete", "x=1", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")

		want := "remove note " + canned.NoteID + ", of others too: " + c.others
		if c.others == "" {
			want = ""
		}

		if asked != want || (got.status == http.StatusSeeOther) != (want != "") {
			t.Errorf("%s: %d, asked %q", name, got.status, asked)
		}
	}
}

// An upload of a photo by the API is more than other bodies may be.
func TestAPhotoByTheAPI(t *testing.T) {
	t.Parallel()

	b := open(t, canned.Full, random)
	base, _ := b.listen()
	path := base + "/api/v1/hosts/" + string(canned.Host) + "/notes/" + canned.NoteID + "/photos"

	for name, c := range map[string]struct {
		path, token string
		data        []byte
		want        int
	}{
		"a large one":     {path, b.token("operate"), large(t, 5<<20), http.StatusCreated},
		"of a reader":     {path, b.token("read"), large(t, 5<<20), http.StatusRequestEntityTooLarge},
		"of no token":     {path, "vet_nonsense", large(t, 5<<20), http.StatusRequestEntityTooLarge},
		"not a photo":     {path, b.token("operate"), []byte("GIF89a"), http.StatusUnprocessableEntity},
		"too large":       {path, b.token("operate"), large(t, 13<<20), http.StatusUnprocessableEntity},
		"of no such note": {base + "/api/v1/hosts/" + string(canned.Host) + "/notes/01JD4X00000000000000000055/photos", b.token("operate"), canned.Picture(), http.StatusNotFound},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.path, bytes.NewReader(c.data))
		if err != nil {
			t.Fatal(err)
		}

		req.Header.Set("Authorization", "Bearer "+c.token)

		if got := b.over(req); got.status != c.want {
			t.Errorf("%s: %d, want %d: %.200s", name, got.status, c.want, got.body)
		}
	}
}
