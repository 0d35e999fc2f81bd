package view

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/mark"
	"vetting/ui/text"
)

// Card is a network card of the appliance's own machine.
type Card struct {
	Name     string
	MAC      string
	Driver   string   // of the kernel; empty: unknown
	Addrs    []string // with the length of the network
	Megabits int      // 0: unknown
	Link     bool
	Default  bool // it holds the default route
}

// Surroundings is who else is on the network of a card.
type Surroundings struct {
	Card    string
	Servers string        // DHCP servers that give addresses; empty: none
	Proxies string        // those that only say what to load
	User    string        // the MAC of who has the address that is to be ours; empty: nobody
	Deaf    time.Duration // how long the switch passes nothing after a cable is plugged in
	Taken   []string      // what is in the way of the boot services here: each a sentence
	Mute    string        // why nothing could be heard; empty: it was listened
}

// Quiet reports whether nothing speaks against serving here.
func (s *Surroundings) Quiet() bool {
	return s.Servers == "" && s.User == "" && len(s.Taken) == 0 && s.Mute == ""
}

// Field is a key of the configuration, as it can be set in the console.
type Field struct {
	route.Setting

	Doc      string   // what it means
	Default  string   // its value when nobody says anything
	Settable bool     // in the console
	Choices  []string // none: a text
}

// Locked reports whether flag, environment or file decide.
func (f *Field) Locked() bool {
	return !f.Settable || f.Origin == "flag" || f.Origin == "environment" || f.Origin == "file"
}

// Wanted is the value that is in force, or will be after a restart.
func (f *Field) Wanted() string {
	if f.Pending != "" {
		return f.Pending
	}

	return f.Value
}

// whose says who decides about the field.
func (f *Field) whose() string {
	switch {
	case f.Origin == "flag" || f.Origin == "environment":
		return "set by " + f.At
	case f.Origin == "file" && f.At != "":
		return "set in " + f.At
	case f.Origin == "file":
		return "set in the configuration file"
	case !f.Settable:
		return "set by flag, environment or file only"
	case f.Origin == "console":
		return "set here"
	default:
		return "default"
	}
}

// Fields are keys of the configuration.
type Fields []Field

// Get returns the field of a key; one that is not there is locked and empty.
func (f Fields) Get(key string) *Field {
	for i := range f {
		if f[i].Key == key {
			return &f[i]
		}
	}

	return &Field{Setting: route.Setting{Key: key}}
}

// Waiting lists the keys that wait for a restart.
func (f Fields) Waiting() (keys []string) {
	for i := range f {
		if f[i].Pending != "" {
			keys = append(keys, f[i].Key)
		}
	}

	return keys
}

// Notifying is a notifier as it is typed.
type Notifying struct {
	Name, Kind string
	Topic      string
	Server     string
	TLS        string
	User       string
	From       string
	To         string
	Events     []core.Topic
	Secrets    map[string]string // by key; never shown again

	Replace bool // it may take the place of one that has its name
	Taken   bool // one has, and nobody said that it may
}

// has reports whether a topic is ticked.
func (n *Notifying) has(topic core.Topic) bool { return slices.Contains(n.Events, topic) }

// Assistant is a step of the assistant that leads from a new appliance to the first host.
type Assistant struct {
	Frame  Frame
	Step   int // from 1
	Fields Fields

	Factor  Factor // step 1
	Fresh   bool
	Cards   []Card // step 2
	Chosen  string
	Own     bool
	Heard   *Surroundings
	Typed   map[string]string // step 3, by key: what was typed and refused
	List    route.NotifierList
	Test    *route.Delivery
	New     Notifying // step 4
	Profile []core.Profile
	Usual   string // step 5
	Busy    int    // runs under way, step 6
	Serving bool
}

// value is what stands in the input of a key: what was typed, else what is wanted.
func (a *Assistant) value(key string) string {
	if typed, ok := a.Typed[key]; ok {
		return typed
	}

	return a.Fields.Get(key).Wanted()
}

type step struct{ path, name string }

func steps() []step {
	return []step{
		{"/setup/you", "You"},
		{"/setup/nic", "Test NIC"},
		{"/setup/network", "Network"},
		{"/setup/messages", "Messages"},
		{"/setup/profile", "Profile"},
		{"/setup/start", "First host"},
	}
}

// next is the path of the step after this one.
func (a *Assistant) next() string { return steps()[min(a.Step, len(steps())-1)].path }

// title is the heading of the step.
func (a *Assistant) title() string {
	return "Step " + strconv.Itoa(a.Step) + " of " + strconv.Itoa(len(steps())) + ": " + steps()[a.Step-1].name
}

// about says what a card is, in a line.
func (c *Card) about() string {
	words := []string{c.MAC}

	if c.Megabits > 0 {
		words = append(words, speedWords(c.Megabits))
	}

	if c.Driver != "" {
		words = append(words, c.Driver)
	}

	if len(c.Addrs) > 0 {
		words = append(words, strings.Join(c.Addrs, ", "))
	} else {
		words = append(words, "no address")
	}

	return text.Line(strings.Join(words, " · "))
}

func speedWords(megabits int) string {
	if megabits >= 1000 && megabits%500 == 0 {
		return strconv.FormatFloat(float64(megabits)/1000, 'g', -1, 64) + " Gbit/s"
	}

	return strconv.Itoa(megabits) + " Mbit/s"
}

func linkMark(up bool) mark.Mark {
	if up {
		return mark.Mark{Class: "pass", Icon: "check", Word: "Link"}
	}

	return mark.Mark{Class: "warn", Icon: "bang", Word: "No link"}
}

// kinds are the kinds of notifiers, with what each is for.
func kinds() []step {
	return []step{
		{"ntfy", "ntfy: push to phones"},
		{"discord", "Discord"},
		{"smtp", "Mail (SMTP)"},
		{"webhook", "Webhook, signed (Standard Webhooks)"},
		{"shoutrrr", "Another service, by a shoutrrr URL"},
	}
}

// topics are what people can be told of.
func topics() []core.Topic {
	return core.Topics()
}

// Certificate is that of the console.
type Certificate struct {
	Off        bool // plain HTTP
	SelfSigned bool
	Subject    string
	Issuer     string
	Names      []string
	SHA256     string // of the certificate, hex
	From       time.Time
	Until      time.Time
	Fixed      string // why it cannot be changed here; empty: it can
}

// CertificatePage is the page of the console's certificate.
type CertificatePage struct {
	Frame Frame
	Cert  Certificate
	Busy  int
}

// General is the page of settings.
type General struct {
	Frame  Frame
	Fields Fields
	Typed  map[string]string
	Busy   int
}

// value is what stands in the input of a field.
func (g *General) value(f *Field) string {
	if typed, ok := g.Typed[f.Key]; ok {
		return typed
	}

	return f.Wanted()
}

// groups are the first words of the keys, in their order.
func (g *General) groups() (names []string) {
	for i := range g.Fields {
		if name := groupOf(g.Fields[i].Key); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}

	return names
}

// of lists the fields of a group.
func (g *General) of(name string) (list []*Field) {
	for i := range g.Fields {
		if groupOf(g.Fields[i].Key) == name {
			list = append(list, &g.Fields[i])
		}
	}

	return list
}

func groupOf(key string) string {
	name, _, more := strings.Cut(key, ".")
	if !more {
		return "general"
	}

	return name
}

// Restart is the page that starts the appliance anew.
type Restart struct {
	Frame   Frame
	Waiting []string
	Busy    int
	Going   bool // it is being started anew
}

// About is the page of what this appliance is.
type About struct {
	Frame    Frame
	Version  string
	Lines    [][2]string // name and value
	CanGive  bool        // a support bundle can be made
	Licences bool
}

// fieldID is the id of the input of a key.
func fieldID(key string) string { return "f-" + strings.NewReplacer(".", "-", "_", "-").Replace(key) }

func busyWords(n int) string {
	if n == 0 {
		return "No run is under way."
	}

	return text.Count(n, "run is", "runs are") + " under way. Hosts whose stages run go on by themselves and are heard again; a boot that is just loading has to begin anew."
}
