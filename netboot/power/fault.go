package power

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"strings"
	"syscall"
	"unicode"

	"vetting/core"
	"vetting/core/problem"
)

// Outcome says how an attempt ended. Each but OK is a code of core/problem.
type Outcome string

// The outcomes.
const (
	OK            Outcome = "ok"             // done, as far as anybody can tell
	WrongPassword Outcome = "wrong-password" // it answers, but not to this user and password
	Denied        Outcome = "not-allowed"    // the user is known, and may not do this
	Unreachable   Outcome = "unreachable"    // refused, no route, no such name
	Timeout       Outcome = "timeout"        // nothing came in time
	Unsupported   Outcome = "unsupported"    // this method, or this machine, cannot do it
	Untrusted     Outcome = "untrusted"      // its certificate is not the one expected
	NotKept       Outcome = "not-kept"       // it said yes, but reads back otherwise
	ByHand        Outcome = "by-hand"        // a person must do it
	Failed        Outcome = "failed"         // it answered with something else
	Stopped       Outcome = "stopped"        // the caller gave up
	SerialTaken   Outcome = "serial-taken"   // its serial console is in use
	SerialOff     Outcome = "serial-off"     // its serial console is switched off
)

// Code returns the outcome's entry in core/problem: "power/timeout".
func (o Outcome) Code() string { return "power/" + string(o) }

// Fault is every error of this package. errors.As finds a *core.Problem in it,
// which has the sentence for people.
type Fault struct { //nolint:errname // named like core.Problem, which it carries
	Outcome Outcome
	Method  Method
	Address string // of the other side; without user, path or secret
	Doing   string // "reading the power state"
	Detail  string // what was heard, cleaned, short, without secrets; may be empty
}

// Error tells all of it in a line.
func (f *Fault) Error() string {
	text := string(f.Method) + " " + f.Address + ": " + f.Doing + ": " + string(f.Outcome)
	if f.Detail != "" {
		text += " (" + f.Detail + ")"
	}

	return text
}

// Unwrap returns the *core.Problem.
func (f *Fault) Unwrap() error {
	entry, _ := problem.Lookup(f.Outcome.Code())
	kind := core.ErrConflict

	if f.Outcome == WrongPassword || f.Outcome == Denied || f.Outcome == Untrusted {
		kind = core.ErrRefused
	}

	return core.NewProblem(kind, f.Outcome.Code(), entry.Why+" "+entry.Next).
		With("method", string(f.Method)).With("address", f.Address).With("detail", f.Detail)
}

// OutcomeOf returns how an error of this package says it ended; OK for nil.
func OutcomeOf(err error) Outcome {
	var f *Fault

	switch {
	case err == nil:
		return OK
	case errors.As(err, &f):
		return f.Outcome
	default:
		return Failed
	}
}

// outcome makes a Fault whose other fields are filled in by the caller's caller.
func outcome(o Outcome, detail string) *Fault { return &Fault{Outcome: o, Detail: detail} }

// classify finds the outcome of an error that sockets, TLS and contexts make.
func classify(err error) Outcome {
	var (
		fault   *Fault
		name    *net.DNSError
		network net.Error
	)

	switch {
	case errors.As(err, &fault):
		return fault.Outcome
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Stopped
	case isTrust(err):
		return Untrusted
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.EHOSTDOWN), errors.Is(err, syscall.ENETDOWN), errors.Is(err, syscall.EADDRNOTAVAIL):
		return Unreachable
	case errors.As(err, &name) && !name.IsTimeout:
		return Unreachable
	case errors.As(err, &network) && network.Timeout():
		return Timeout
	default:
		return Failed
	}
}

func isTrust(err error) bool {
	var (
		verify    *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)

	return errors.As(err, &verify) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// explain turns whatever err is into a Fault about t that is fit to be shown.
func explain(t *Target, doing string, err error) error {
	if err == nil {
		return nil
	}

	var (
		fault *Fault
		post  *url.Error
	)

	text := err.Error()

	switch {
	case errors.As(err, &fault):
		text = fault.Detail
	case errors.As(err, &post): // which repeats the URL
		text = post.Err.Error()
	}

	return &Fault{Outcome: classify(err), Method: t.Method, Address: t.shown(), Doing: doing, Detail: t.clean(text)}
}

const maxDetail = 240

// clean makes foreign text fit for errors: no secret, one line, short.
func (t *Target) clean(text string) string {
	for _, secret := range t.secrets() {
		text = strings.ReplaceAll(text, secret, "[hidden]")
	}

	words := strings.FieldsFunc(strings.ToValidUTF8(text, ""), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) })
	text = strings.Join(words, " ")

	if runes := []rune(text); len(runes) > maxDetail {
		text = string(runes[:maxDetail]) + "…"
	}

	return text
}

// secrets lists what must never be shown, in every form in which it travels.
func (t *Target) secrets() []string {
	var all []string

	for _, s := range []string{
		base64.StdEncoding.EncodeToString([]byte(t.User + ":" + string(t.Password))),
		string(t.Password), url.QueryEscape(string(t.Password)), url.PathEscape(string(t.Password)),
		string(t.Secret), t.URL,
	} {
		if len(s) > 2 && s != t.User {
			all = append(all, s)
		}
	}

	return all
}
