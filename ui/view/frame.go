// Package view draws the pages of the console. It is given values and writes
// HTML; every page is whole without JavaScript. Parts marked data-live are
// swapped by static/app.js when something happens.
package view

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/a-h/templ"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/text"
)

// Frame is what stands around every page.
type Frame struct {
	Title    string
	Active   string      // path of the entry of the navigation that is current
	User     string      // empty: nobody is signed in, no navigation
	Scope    route.Scope // what whoever looks may do
	Session  bool        // they signed in with a password
	Theme    string      // "light", "dark" or empty
	CSS      string      // paths of the files
	JS       string
	Icon     string
	Here     string // where the page is to be had again, of one that answers a form; empty: at its own address
	Posted   bool   // the page answers a form
	Follows  string // what the page's stream tells: "rack", "run:ID", or FollowsTiles and its like; empty: the page does not follow
	Seq      uint64 // number of the last event the page knows
	Flash    string // one sentence about what was just done
	Undo     string // where that is taken back; empty: nothing does
	Problem  string // one sentence about what went wrong
	Unknown  int    // machines in the inbox
	Now      time.Time
	Insecure bool // the console is served without TLS
	Warnings []Warning
}

// What a page follows whose stream tells its parts as they change, so that it need not be
// fetched again.
const (
	FollowsTiles = "tiles"
	FollowsHosts = "hosts"
	FollowsQueue = "queue"
)

// follows is what the page's stream tells. One that answers a form and is to be had nowhere
// again cannot follow.
func (f Frame) follows() string {
	if f.Posted && f.Here == "" {
		return ""
	}

	return f.Follows
}

// here is where the page is fetched again; empty: where it was.
func (f Frame) here() string {
	if f.Posted {
		return f.Here
	}

	return ""
}

// parted reports whether the page's stream tells its parts.
func (f Frame) parted() bool { return Parted(f.follows()) }

// Parted reports whether the stream of what a page follows tells its parts.
func Parted(follows string) bool {
	return follows == FollowsTiles || follows == FollowsHosts || follows == FollowsQueue
}

// Hidden is what a form sends that nobody types.
type Hidden struct{ Name, Value string }

// Warning is a sentence about the appliance that stands on every page.
type Warning struct {
	Severity core.Severity
	Text     string
}

// tone is how grave a warning looks.
func (w Warning) tone() string {
	if w.Severity == core.Critical {
		return "fail"
	}

	return "warn"
}

type entry struct{ path, name string }

func (f Frame) entries() []entry {
	return []entry{
		{"/", "Rack"}, {"/hosts", "Hosts"}, {"/runs", "Runs"}, {"/inbox", "Inbox"}, {"/netboot", "Netboot"}, {"/profiles", "Profiles"}, {"/settings", "Settings"},
	}
}

// bar are the entries at the bottom of a phone's screen: what has no room there is
// linked from the last one.
func (f Frame) bar() []entry {
	return []entry{{"/", "Rack"}, {"/hosts", "Hosts"}, {"/runs", "Runs"}, {"/scan", "Scan"}, {"/settings", "More"}}
}

// barred is the entry of the bar that is current.
func (f Frame) barred() string {
	if f.Active == "/inbox" || f.Active == "/netboot" || f.Active == "/profiles" {
		return "/settings"
	}

	return f.Active
}

// operates reports whether who looks may register hosts, start and end runs.
func (f Frame) operates() bool { return f.Scope.Allows(route.Operate) }

// rules reports whether who looks may let others in.
func (f Frame) rules() bool { return f.Scope.Allows(route.Admin) }

func (f Frame) seq() string { return strconv.FormatUint(f.Seq, 10) }

// known is a word, or that there is none.
func known(word string) string {
	if word == "" {
		return "none"
	}

	return word
}

func pathHost(mac core.MAC) templ.SafeURL { return templ.URL("/hosts/" + string(mac)) }

func pathRun(id core.RunID) templ.SafeURL { return templ.URL("/runs/" + string(id)) }

func pathResend(d *route.Delivery) templ.SafeURL {
	return templ.URL(fmt.Sprintf("/notifications/%d/%s/resend", d.Event, url.PathEscape(d.Target)))
}

// moment writes t for the machine; app.js gives it the viewer's zone.
func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// clock writes t for people without JavaScript: the time of day of today, else
// with the date.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04 UTC")
	}

	return t.Format("2 Jan 2006 15:04 UTC")
}

func percent(p float64) string { return strconv.Itoa(int(min(1, max(0, p))*100 + 0.5)) }

func hostName(h *core.Host) string {
	if name := text.Line(h.Name); name != "" {
		return name
	}

	return string(h.MAC)
}

// shortID is the end of a run's id, which tells runs of one day apart.
func shortID(id core.RunID) string {
	s := string(id)

	return s[max(0, len(s)-8):]
}
