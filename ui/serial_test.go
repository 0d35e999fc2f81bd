package ui_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/clock"
	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/fasthttp/websocket"

	api "vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
	"vetting/netboot/power"
	"vetting/ui/browser"
	"vetting/ui/canned"
)

const bmcPassword = "s3cret-pa55word!"

// desk is a console in front of a host whose management controller is on loopback, and has a
// serial port.
type desk struct {
	*cell

	port    *mock.FakeConsoleConn
	address string // of the controller
}

// controller serves RMCP+ on loopback with a serial port, and returns its address.
func controller(t *testing.T, port hal.ConsoleConn) string {
	t.Helper()

	parts := mock.New()
	parts.SetConsole(&mock.Console{Conn: port})

	b := bmc.New(bmc.DeviceInfo{IPMIVersion: 0x20}, [16]byte{1}, parts, bmc.WithClock(clock.Real))

	account, err := b.Users.Add(2, "vetting")
	if err != nil {
		t.Fatal(err)
	}

	account.SetPassword([]byte(bmcPassword))
	account.Enabled = true
	account.ChannelAccess[1] = bmc.UserChannelAccess{MaxPrivilege: bmc.PrivilegeLevelAdministrator, Enabled: true}

	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}

	serve := server.NewServer(b, udp.Wrap(conn, udp.WithReadTimeout(time.Second)))
	ended := make(chan struct{})

	go func() {
		defer close(ended)

		_ = serve.Serve(context.WithoutCancel(t.Context()))
	}()

	t.Cleanup(func() {
		_ = serve.Close()
		<-ended
	})

	return conn.LocalAddr().String()
}

// serialTo opens the serial console at a controller, as the engine has it done.
func serialTo(ctx context.Context, address string, takeOver bool) (io.ReadWriteCloser, error) {
	host := core.Host{MAC: canned.Host, Name: "rack3-u17", Power: core.Power{Method: core.PowerIPMI, BMC: core.BMC{Address: address, User: "vetting"}}}

	line, tried := power.Switch{}.Serial(ctx, core.PowerOrder{Host: host, Way: core.PowerIPMI, Secret: core.HostSecret{BMCPassword: bmcPassword}}, takeOver)
	if tried.Code != "" {
		return nil, core.NewProblem(core.ErrConflict, tried.Code, "The controller of rack3-u17, ipmi: "+tried.Code)
	}

	return line, nil
}

func openDesk(t *testing.T) *desk {
	t.Helper()

	d := &desk{port: &mock.FakeConsoleConn{}}
	d.address = controller(t, d.port)
	d.cell = &cell{bench: open(t, canned.Full, random)}
	d.commands.OnSerial = func(_ core.MAC, takeOver bool) (io.ReadWriteCloser, error) {
		return serialTo(context.WithoutCancel(t.Context()), d.address, takeOver)
	}
	d.LookAtCallers(20 * time.Millisecond)
	d.signIn()
	d.cookie = d.member("otto", route.Operator)
	d.edit(func(h *core.Host) { h.Power.BMC = core.BMC{Address: d.address, User: "vetting"} })
	d.base, d.stop = d.listen()

	return d
}

// edit rewrites the host, and rings.
func (d *desk) edit(change func(*core.Host)) {
	d.t.Helper()

	if _, err := d.ledger.Update(d.t.Context(), func(txn core.Txn) error {
		var host core.Host

		if err := txn.Get(core.TableHost, string(canned.Host), &host); err != nil {
			return err
		}

		change(&host)

		return txn.Put(core.TableHost, string(canned.Host), host)
	}); err != nil {
		d.t.Fatal(err)
	}

	d.happen(1, held)
}

// sit opens the page of the serial console and its socket.
func (d *desk) sit(method, cookie string) *seat {
	d.t.Helper()

	conn, _, err := d.dial(d.socket(method, cookie), cookie, d.base)
	if err != nil {
		d.t.Fatal(err)
	}

	d.t.Cleanup(func() { _ = conn.Close() })

	return &seat{t: d.t, conn: conn}
}

// socket returns the path of the socket that the page opens.
func (d *desk) socket(method, cookie string) string {
	d.t.Helper()

	got := d.ask(method, "/hosts/"+string(canned.Host)+"/console", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")

	found := socketOf.FindStringSubmatch(got.body)
	if found == nil {
		d.t.Fatalf("no console on the page: %d %s", got.status, got.body)
	}

	return strings.ReplaceAll(found[1], "&amp;", "&") + "&cols=80&rows=24"
}

func (d *desk) takes(words string) {
	d.t.Helper()

	for end := time.Now().Add(20 * time.Second); !strings.Contains(d.port.TXString(), words); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("the machine took %q, not %q", d.port.TXString(), words)
		}
	}
}

// heard waits until the console has taken what was sent before.
func (s *seat) heard(d *desk) {
	s.t.Helper()

	answered := false

	s.conn.SetPongHandler(func(string) error {
		answered = true

		return nil
	})

	if err := s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(10*time.Second)); err != nil {
		s.t.Fatal(err)
	}

	s.until("the answer to a ping", func() bool {
		d.port.FeedRX([]byte("."))

		return answered
	})
}

func TestASerialConsoleIsTheMachinesOwn(t *testing.T) {
	t.Parallel()

	d := openDesk(t)
	s := d.sit("GET", d.cookie)
	s.says(`{"role":"driver"}`)

	d.port.FeedRX([]byte("rack3-u17 login: "))
	s.shows("login: ")
	s.types("root\rs3same\r")
	d.takes("root\rs3same\r")

	// Whoever comes second sees what was shown, and who types; the first of those left types.
	second := d.sit("GET", d.cookie)
	second.shows("login: ")
	second.says(`{"role":"viewer","who":"otto"}`)
	second.types("smuggled")
	second.heard(d)

	_ = s.conn.Close()

	second.says(`{"role":"driver"}`)
	second.types("mine")
	d.takes("mine")

	if strings.Contains(d.port.TXString(), "smuggled") {
		t.Error("who looks on types")
	}

	d.stop() // the port is given back with the appliance's end, and what is left is written down

	if !d.port.IsClosed() {
		t.Error("the port was not given back")
	}

	got := d.ask("GET", "/api/v1/audit?action=host.console", "", "Authorization", "Bearer "+d.token("admin"))
	for _, want := range []string{`"who":"otto"`, `"object":"host/` + string(canned.Host) + `"`, "opened a serial console of the host rack3-u17 from 127.0.0.1", "left the serial console of the host rack3-u17: the appliance stops; after "} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the audit trail lacks %q: %s", want, got.body)
		}
	}

	if strings.Contains(got.body, "s3same") || strings.Contains(got.body, "login: ") {
		t.Errorf("the audit trail has what was typed: %s", got.body)
	}
}

func TestASerialConsoleEnds(t *testing.T) {
	t.Parallel()

	for words, end := range map[string]func(*desk){
		"the host has another management controller now": func(d *desk) { d.edit(func(h *core.Host) { h.Power.BMC.Address = "10.0.0.99" }) },
		"the caller may no longer open it": func(d *desk) {
			got := d.ask("PATCH", "/api/v1/users/otto", `{"role":"viewer"}`, "Authorization", "Bearer "+d.token("admin"))
			if got.status != http.StatusOK {
				d.t.Errorf("taking the role away: %d %s", got.status, got.body)
			}
		},
		"the caller's session or token has ended": func(d *desk) { d.ask("POST", "/logout", "", "Cookie", d.cookie, "Sec-Fetch-Site", "same-origin") },
		"the appliance stops":                     func(d *desk) { d.stop() },
	} {
		d := openDesk(t)
		s := d.sit("GET", d.cookie)
		s.says("driver")
		end(d)
		s.says(words)

		for until := time.Now().Add(20 * time.Second); !d.port.IsClosed(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%s: the port was not given back", words)
			}
		}
	}

	d := openDesk(t)
	d.WaitAtSerial(200 * time.Millisecond)
	d.sit("GET", d.cookie).says("nothing was typed or shown for 200ms")
}

// One that somebody else has at the controller is told of, and taken over only by a press of the
// button for it.
func TestASerialConsoleOfSomebodyElseIsTakenOverOnlyWhenAsked(t *testing.T) {
	t.Parallel()

	d := openDesk(t)

	other, err := serialTo(t.Context(), d.address, false)
	if err != nil {
		t.Fatal(err)
	}

	defer other.Close() //nolint:errcheck // it was taken over

	d.sit("GET", d.cookie).says(`"code":"power/serial-taken"`)

	// A ticket for looking is none for taking over.
	path := d.socket("GET", d.cookie)
	if _, answer, err := d.dial(path+"&take_over=true", d.cookie, d.base); err == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("the other ticket: %v", err)
	}

	s := d.sit("POST", d.cookie)
	s.says("driver")
	s.types("mine")
	d.takes("mine")
}

func TestASerialConsoleIsRefusedToOthers(t *testing.T) {
	t.Parallel()

	d := openDesk(t)
	looker := d.member("lena", route.Viewer)
	mallory := d.member("mallory", route.Operator)
	api := "/api/v1/hosts/" + string(canned.Host) + "/console"

	for name, try := range map[string]struct {
		path   string
		cookie string
		origin string
		status int
	}{
		"a page of another site":         {d.socket("GET", d.cookie), d.cookie, "http://evil.test", http.StatusForbidden},
		"nobody":                         {d.socket("GET", d.cookie), "", d.base, http.StatusUnauthorized},
		"who may only look":              {d.socket("GET", d.cookie), looker, d.base, http.StatusForbidden},
		"another operator's ticket":      {d.socket("GET", d.cookie), mallory, d.base, http.StatusForbidden},
		"no ticket":                      {"/hosts/" + string(canned.Host) + "/console/socket?cols=80&rows=24", d.cookie, d.base, http.StatusForbidden},
		"no such host":                   {"/api/v1/hosts/02:00:00:00:99:99/console", d.cookie, d.base, http.StatusNotFound},
		"the API, to another site":       {api, d.cookie, "http://evil.test", http.StatusForbidden},
		"the API, to who may only look":  {api, looker, d.base, http.StatusForbidden},
		"the API, with a word of no use": {api + "?take_over=perhaps", d.cookie, d.base, http.StatusUnprocessableEntity},
	} {
		conn, answer, err := d.dial(try.path, try.cookie, try.origin)
		if err == nil {
			_ = conn.Close()
		}

		if err == nil || answer == nil || answer.StatusCode != try.status {
			t.Errorf("%s: %v %v, want %d", name, err, answer, try.status)
		}
	}

	if got := d.ask("GET", api, "", "Cookie", d.cookie); got.status != http.StatusUpgradeRequired {
		t.Errorf("without an upgrade: %d", got.status)
	}

	if got := d.ask("POST", "/hosts/"+string(canned.Host)+"/console", "", "Cookie", d.cookie, "Sec-Fetch-Site", "cross-site"); got.status != http.StatusForbidden {
		t.Errorf("taking over from another site: %d", got.status)
	}

	d.edit(func(h *core.Host) { h.Power.BMC = core.BMC{} })

	if got := d.ask("GET", "/hosts/"+string(canned.Host)+"/console", "", "Cookie", d.cookie); strings.Contains(got.body, "data-socket") || !strings.Contains(got.body, "has no management controller") {
		t.Errorf("the page of a host without a controller: %s", got.body)
	}
}

// A program comes with its token: it types, or only looks.
func TestAProgramSitsAtASerialConsole(t *testing.T) {
	t.Parallel()

	d := openDesk(t)

	operator, err := api.New(d.base, d.token("operate"), "")
	if err != nil {
		t.Fatal(err)
	}

	looks, err := operator.HostConsole(t.Context(), string(canned.Host), false, true)
	if err != nil {
		t.Fatal(err)
	}

	defer looks.Close() //nolint:errcheck // it may have ended

	if said, err := looks.Next(); err != nil || said.Role != "viewer" {
		t.Errorf("who only looks: %+v %v", said, err)
	}

	types, err := operator.HostConsole(t.Context(), string(canned.Host), false, false)
	if err != nil {
		t.Fatal(err)
	}

	if said, err := types.Next(); err != nil || said.Role != api.ConsoleDriver {
		t.Errorf("who types: %+v %v", said, err)
	}

	if err := looks.Type([]byte("smuggled")); err != nil {
		t.Error(err)
	}

	if err := types.Type([]byte("reboot\r")); err != nil {
		t.Error(err)
	}

	d.takes("reboot\r")
	d.port.FeedRX([]byte("going down"))

	if said, err := types.Next(); err != nil || string(said.Bytes) != "going down" {
		t.Errorf("%+v %v", said, err)
	}

	if strings.Contains(d.port.TXString(), "smuggled") {
		t.Error("who only looks types")
	}

	if err := types.Close(); err != nil {
		t.Error(err)
	}

	reader, err := api.New(d.base, d.token("read"), "")
	if err != nil {
		t.Fatal(err)
	}

	if _, err := reader.HostConsole(t.Context(), string(canned.Host), false, true); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a token that may only read: %v", err)
	}
}

// In a browser, from the page of the host: what is typed reaches the machine, what it prints can
// do nothing but be seen, and all of it fits a phone.
func TestASerialConsoleInTheBrowser(t *testing.T) {
	t.Parallel()

	d := openDesk(t)

	other, err := serialTo(t.Context(), d.address, false)
	if err != nil {
		t.Fatal(err)
	}

	defer other.Close() //nolint:errcheck // it was taken over

	tab := browser.Open(t, "")
	name, value, _ := strings.Cut(d.cookie, "=")

	browser.Do(t, tab, network.SetExtraHTTPHeaders(network.Headers{}), network.SetCookie(name, value).WithURL(d.base),
		emulation.SetDeviceMetricsOverride(360, 740, 2, true), chromedp.Navigate(d.base+"/hosts/"+url.PathEscape(string(canned.Host))), chromedp.Click("#controller-fold > summary"), chromedp.Click("#open-console"))
	browser.Become(t, tab, "that somebody has it", `document.querySelector("#terminal-take")?.checkVisibility()`)
	browser.Do(t, tab, chromedp.Click("#terminal-take button"))
	browser.Become(t, tab, "the console", `document.querySelector("#terminal-state")?.textContent.startsWith("connected: what you type") && !document.querySelector("#terminal-take").checkVisibility()`)

	d.port.FeedRX([]byte("\x1b]52;c;aGFja2Vk\x07\x1b]0;owned\x07\x1b]8;;https://evil.test\x07click\x1b]8;;\x07 login: "))
	browser.Become(t, tab, "what the machine prints", `document.querySelector(".xterm-rows").textContent.includes("click login:")`)

	type spot struct{ X, Y float64 }

	link := browser.Told[spot](t, tab, `(() => {
		window.confirm = window.open = () => { window.__asked = true; };
		const row = document.querySelector(".xterm-rows").firstElementChild.getBoundingClientRect();
		return {X: row.x + 20, Y: row.y + row.height / 2};
	})()`)
	browser.Do(t, tab, chromedp.MouseEvent(input.MouseMoved, link.X, link.Y), chromedp.Sleep(300*time.Millisecond), chromedp.MouseClickXY(link.X, link.Y))

	if browser.Told[bool](t, tab, "!!window.__asked") {
		t.Error("the machine's link leads somewhere")
	}

	browser.Do(t, tab, strokes("root\r"))
	d.takes("root\r")

	if title := browser.Told[string](t, tab, "document.title"); strings.Contains(title, "owned") {
		t.Errorf("the machine wrote the page's title: %s", title)
	}

	if wide := browser.Told[int](t, tab, "document.documentElement.scrollWidth"); wide > 360 {
		t.Errorf("the console is %d pixels wide: %s", wide, browser.Told[string](t, tab, widest))
	}

	browser.Look(t, tab, "console", `{resultTypes: ["violations"], preload: false}`)

	if all := browser.Told[[]string](t, tab, "window.__noted"); len(all) > 0 {
		t.Errorf("%s", strings.Join(all, "; "))
	}
}
