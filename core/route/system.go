package route

import (
	"time"

	"vetting/core"
)

// NotifierList is who is told of what, without secrets.
type NotifierList struct {
	Notifiers []Notifier    `json:"notifiers"` // in the order of the configuration
	Routes    []NotifyRoute `json:"routes"`
}

// Notifier is one place to tell, and what came of it last.
type Notifier struct {
	Name     string    `json:"name"`
	Kind     string    `json:"kind"`     // "ntfy", "discord", "smtp", "webhook" or "shoutrrr"
	Attempts int       `json:"attempts"` // how often a message is tried
	Last     *Delivery `json:"last"`     // null: nothing was sent yet
	Tested   *Delivery `json:"tested"`   // of the last test; null: never tested
}

// NotifyRoute sends what matches it to some of the notifiers.
type NotifyRoute struct {
	Topics     []core.Topic    `json:"events"`     // empty: all
	Severities []core.Severity `json:"severities"` // empty: all
	To         []string        `json:"to"`
}

// Delivery is what came of one message to one notifier.
type Delivery struct {
	Event    uint64        `json:"event"` // sequence number of what it tells; 0: a test
	Topic    core.Topic    `json:"topic,omitempty"`
	Severity core.Severity `json:"severity"`
	Target   string        `json:"target"`
	Kind     string        `json:"kind"`
	Host     core.MAC      `json:"host,omitempty"`
	Run      core.RunID    `json:"run,omitempty"`
	Text     string        `json:"text"`
	Time     time.Time     `json:"time"` // of the end of the last attempt
	Took     float64       `json:"took_s"`
	Attempts int           `json:"attempts"`
	OK       bool          `json:"ok"`
	Code     string        `json:"code,omitempty"`
	Detail   string        `json:"detail,omitempty"` // what the notifier said, cut short
}

// DeliveryList is a page of outcomes, the newest message first.
type DeliveryList struct {
	Deliveries    []Delivery `json:"deliveries"`
	NextPageToken string     `json:"next_page_token,omitempty"`
}

// NewDelivery shows d.
func NewDelivery(d *core.Delivery) Delivery {
	return Delivery{
		Event: d.Event, Topic: d.Topic, Severity: d.Severity, Target: d.Target, Kind: d.Kind, Host: d.Host, Run: d.Run, Text: d.Text, Time: d.Time,
		Took: d.Took.Seconds(), Attempts: d.Attempts, OK: d.OK, Code: d.Code, Detail: d.Detail,
	}
}

// Expiring is what is old enough to be removed at the next sweep. Records of hosts
// and runs never are.
type Expiring struct {
	Items []ExpiringItem `json:"items"` // 1000 at most
	Count int            `json:"count"` // all of them
	Bytes int64          `json:"bytes"` // of all of them
}

// ExpiringItem is one log or file.
type ExpiringItem struct {
	What  string     `json:"what"` // "log", "artifact", "photo" of a note, "samples", or "stray": a file that nothing names
	Run   core.RunID `json:"run,omitempty"`
	Name  string     `json:"name,omitempty"`
	Bytes int64      `json:"bytes"` // 0 for a file that another run has too
	Due   time.Time  `json:"due,omitzero"`
}

func upkeepRoutes() []Route {
	return []Route{
		{
			Name: "notifiers.list", Tag: "system", Method: "GET", Path: "/api/v1/notifiers", Scope: Read,
			Summary: "List who is told of what, without secrets, and what came of it last", OK: ok(NotifierList{}, "notifiers and routes"),
		},
		{
			Name: "notifiers.test", Tag: "system", Method: "POST", Path: "/api/v1/notifiers/{name}/test", Scope: Operate,
			Summary: "Send a test message to one notifier now; the outcome is kept", OK: ok(Delivery{}, "what came of it"), Errors: []int{404, 507},
		},
		{
			Name: "deliveries.resend", Tag: "system", Method: "POST", Path: "/api/v1/deliveries/{event}/{target}/resend", Scope: Operate,
			Summary: "Send a message once more, now, that did not arrive at a notifier; the outcome takes the place of the one before", OK: ok(Delivery{}, "what came of it"), Errors: []int{404, 409, 422, 507},
		},
		{
			Name: "deliveries.list", Tag: "system", Method: "GET", Path: "/api/v1/deliveries", Scope: Read,
			Summary: "Read what came of messages to notifiers, the newest first",
			Query: append([]Param{
				{Name: "target", Kind: "string", Summary: "only messages to the notifier of this name"},
				{Name: "failed", Kind: "boolean", Summary: "only those that did not arrive"},
			}, paging()...),
			OK: ok(DeliveryList{}, "a page of outcomes; a page may be short and still have a next"), Errors: []int{422},
		},
		{
			Name: "retention.preview", Tag: "system", Method: "GET", Path: "/api/v1/retention/preview", Scope: Read,
			Summary: "Show which logs and files are old enough to be removed at the next sweep; nothing is removed",
			OK:      ok(Expiring{}, "what would go now"),
		},
	}
}
