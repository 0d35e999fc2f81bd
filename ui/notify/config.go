package notify

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/core"
)

// Config is what the operator wants to be told, and where. Secrets in it come
// from files or the environment, which is for the reader of the file.
type Config struct {
	Targets []Target
	Routes  []Route
	// Console is the address people reach the console by, such as
	// "https://vetting.lan:8443"; empty: messages carry no link.
	Console string
	// Timeout bounds one attempt; 0: 10 s.
	Timeout time.Duration
}

// Secret is a text that is not printed, logged or marshalled by accident.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}

	return "[hidden]"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Kind names what a target speaks.
type Kind string

// The kinds.
const (
	Ntfy     Kind = "ntfy"
	Discord  Kind = "discord"
	SMTP     Kind = "smtp"
	Webhook  Kind = "webhook"
	Shoutrrr Kind = "shoutrrr"
)

// Target is one place to tell. Which fields it needs depends on its kind.
type Target struct {
	Name string // the operator's own: letters, digits, hyphen, underscore
	Kind Kind
	// Attempts is how often one message is tried; 0: once. More than once, a
	// message may arrive twice.
	Attempts int

	// URL is the server of ntfy ("https://ntfy.sh"), or where Discord, the
	// webhook or shoutrrr post to. It is a secret for all but ntfy.
	URL   Secret
	Topic string // ntfy
	Token Secret // ntfy: access token; may be empty
	Sign  Secret // webhook: what messages are signed with

	Server   string   // smtp: "mail.example.com:587"
	TLS      string   // smtp: "starttls" (default), "tls" from the first byte, "off"
	User     string   // smtp; empty: no authentication
	Password Secret   // smtp
	From     string   // smtp: "vetting <vetting@example.com>"
	To       []string // smtp
}

// Route sends what matches it to some of the targets. A message goes to a target
// once, however many routes lead there.
type Route struct {
	Topics     []core.Topic    // empty: all
	Severities []core.Severity // empty: all
	To         []string        // names of targets
}

const (
	maxTargets  = 32
	maxAttempts = 10
	minSign     = 16
	maxTo       = 50
)

// Validate names everything that is wrong, joined, each with its path. No secret
// is in the error.
func (c *Config) Validate() error {
	names, err := c.validateTargets()
	faults := []error{err}

	for i, r := range c.Routes {
		if err := r.validate(names); err != nil {
			faults = append(faults, fmt.Errorf("routes[%d]: %w", i, err))
		}
	}

	if u, err := url.Parse(c.Console); c.Console != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		faults = append(faults, fmt.Errorf("console: %q is no address like https://vetting.lan:8443", c.Console))
	}

	return errors.Join(faults...)
}

func (c *Config) validateTargets() (names map[string]bool, err error) {
	var faults []error

	if len(c.Targets) > maxTargets {
		faults = append(faults, fmt.Errorf("notifiers: %d are more than %d", len(c.Targets), maxTargets))
	}

	names = map[string]bool{}

	for i := range c.Targets {
		t := &c.Targets[i]
		if names[t.Name] {
			faults = append(faults, fmt.Errorf("notifiers.%s: is there twice", t.Name))
		}

		names[t.Name] = true

		if err := t.validate(); err != nil {
			faults = append(faults, fmt.Errorf("notifiers.%s: %w", t.Name, err))
		}
	}

	return names, errors.Join(faults...)
}

func (r *Route) validate(names map[string]bool) error {
	var faults []error

	if len(r.To) == 0 {
		faults = append(faults, errors.New("to: name at least one notifier"))
	}

	for _, to := range r.To {
		if !names[to] {
			faults = append(faults, fmt.Errorf("to: there is no notifier %q", to))
		}
	}

	for _, topic := range r.Topics {
		if !slices.Contains(core.Topics(), topic) {
			faults = append(faults, fmt.Errorf("events: %q is none of %v", topic, core.Topics()))
		}
	}

	for _, s := range r.Severities {
		if s != core.Critical && s != core.Warning && s != core.Info {
			faults = append(faults, fmt.Errorf("severities: %q is none of critical, warning, info", s))
		}
	}

	return errors.Join(faults...)
}

func (t *Target) validate() error {
	var faults []error

	if t.Name == "" || len(t.Name) > 64 || strings.Trim(t.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		faults = append(faults, errors.New("a name is 1 to 64 letters, digits, hyphens and underscores"))
	}

	if t.Attempts < 0 || t.Attempts > maxAttempts {
		faults = append(faults, fmt.Errorf("attempts: %d is not between 1 and %d", t.Attempts, maxAttempts))
	}

	switch t.Kind {
	case Ntfy:
		faults = append(faults, t.checkURL(), t.checkTopic())
	case Discord:
		faults = append(faults, t.checkURL())
	case Webhook:
		faults = append(faults, t.checkURL())
		if len(t.Sign) < minSign {
			faults = append(faults, fmt.Errorf("secret: at least %d characters, so that nobody guesses it", minSign))
		}
	case SMTP:
		faults = append(faults, t.checkMail())
	case Shoutrrr:
		_, err := newShout(t)
		faults = append(faults, err)
	default:
		faults = append(faults, fmt.Errorf("type: %q is none of ntfy, discord, smtp, webhook, shoutrrr", t.Kind))
	}

	return errors.Join(faults...)
}

// checkURL does not repeat the URL: it often is a secret.
func (t *Target) checkURL() error {
	u, err := url.Parse(string(t.URL))
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("url: give where to post, beginning with https:// or http://")
	}

	return nil
}

func (t *Target) checkTopic() error {
	if t.Topic == "" || len(t.Topic) > 64 || strings.ContainsAny(t.Topic, "/ \t\r\n") {
		return errors.New("topic: 1 to 64 characters without spaces")
	}

	return nil
}

func (t *Target) checkMail() error {
	var faults []error

	if _, _, err := t.server(); err != nil {
		faults = append(faults, err)
	}

	if _, err := mail.ParseAddress(t.From); err != nil {
		faults = append(faults, fmt.Errorf("from: %q is no mail address", t.From))
	}

	if len(t.To) == 0 || len(t.To) > maxTo {
		faults = append(faults, fmt.Errorf("to: 1 to %d mail addresses", maxTo))
	}

	for _, to := range t.To {
		if _, err := mail.ParseAddress(to); err != nil {
			faults = append(faults, fmt.Errorf("to: %q is no mail address", to))
		}
	}

	switch {
	case t.TLS != "" && t.TLS != "starttls" && t.TLS != "tls" && t.TLS != "off":
		faults = append(faults, fmt.Errorf("tls: %q is none of starttls, tls, off", t.TLS))
	case t.TLS == "off" && t.User != "":
		faults = append(faults, errors.New("tls: off would send the password for all to read; use starttls or tls, or no user"))
	}

	return errors.Join(faults...)
}
