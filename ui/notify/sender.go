package notify

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vetting/core/problem"
)

// sender carries one message to one target, once. Its errors may hold secrets;
// tell cleans them.
type sender interface {
	send(ctx context.Context, m message) error
}

// newSender returns what speaks to t, which is valid.
func newSender(t *Target, client *http.Client, now func() time.Time) (sender, error) {
	switch t.Kind {
	case Ntfy:
		return ntfy{target: t, client: client}, nil
	case Discord:
		return discord{target: t, client: client}, nil
	case SMTP:
		return mailer{target: t, now: now, id: rand.Text}, nil
	case Webhook:
		return hook{target: t, client: client, now: now, id: rand.Text}, nil
	default:
		return newShout(t)
	}
}

// newClient returns a client that follows no redirect: it would carry the message
// and its credentials to where the configuration does not say.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
			MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 1,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// refusal is an answer that is not yes.
type refusal struct {
	status int
	said   string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.said) }

const maxAnswer = 64 << 10

// post sends a request and reads the answer, of which it keeps only the bad news.
func post(client *http.Client, r *http.Request) (err error) {
	answer, err := client.Do(r)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, answer.Body.Close()) }()

	said, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}

	if answer.StatusCode >= 200 && answer.StatusCode < 300 {
		return nil
	}

	return &refusal{status: answer.StatusCode, said: string(said)}
}

// codeOf returns the problem that an error is told by.
func codeOf(err error) string {
	var (
		answer *refusal
		name   *net.DNSError
		socket *net.OpError
	)

	switch {
	case errors.Is(err, context.Canceled):
		return problem.NotifyStopped
	case errors.Is(err, context.DeadlineExceeded):
		return problem.NotifyTimeout
	case errors.As(err, &answer) && slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}, answer.status):
		return problem.NotifyRefused
	case errors.As(err, &name), errors.As(err, &socket):
		return problem.NotifyUnreachable
	default:
		return problem.NotifyFailed
	}
}

// again reports whether the same message may well arrive a little later.
func again(err error) bool {
	var answer *refusal
	if errors.As(err, &answer) {
		return answer.status == http.StatusTooManyRequests || answer.status >= 500
	}

	return !errors.Is(err, context.Canceled)
}

const maxDetail = 200

// detail is what an error says, without secrets, in a line.
func (t *Target) detail(err error) string {
	var moved *url.Error
	if errors.As(err, &moved) { // which repeats the URL
		err = moved.Err
	}

	text := err.Error()
	for _, secret := range t.secrets() {
		text = strings.ReplaceAll(text, secret, "[hidden]")
	}

	return clean(text, maxDetail)
}

// secrets lists what must not be told, the longest first: the URL, its parts that
// are not the host's name, tokens and passwords, as they are and as URLs have them.
func (t *Target) secrets() []string {
	all := []string{string(t.URL), string(t.Token), string(t.Sign), string(t.Password)}

	if u, err := url.Parse(string(t.URL)); err == nil {
		all = append(all, u.RequestURI(), u.Opaque, u.RawQuery, u.User.String())
		all = append(all, strings.Split(u.Path, "/")...)

		if word, set := u.User.Password(); set {
			all = append(all, word)
		}

		for _, values := range u.Query() {
			all = append(all, values...)
		}

		if t.Kind == Shoutrrr { // where even the host's name may be a token
			all = append(all, u.Host, u.User.Username())
		}
	}

	for _, s := range slices.Clone(all) {
		all = append(all, url.QueryEscape(s), url.PathEscape(s))
	}

	all = slices.DeleteFunc(all, func(s string) bool { return len(s) < 4 })
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })

	return slices.Compact(all)
}
