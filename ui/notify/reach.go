package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/smtp"
	"net/url"
	"time"
)

// ErrUnseen says that a kind of notifier cannot be looked at without sending something.
var ErrUnseen = errors.New("it cannot be looked at without sending a message")

// Reach looks whether a target can be reached, and sends nothing that anybody would read:
// of those that speak HTTP it asks for the head of the server's first page, which takes name,
// way and certificate, and any answer will do; at a mail server it signs in and takes its
// leave. The error holds no secret.
func (t *Target) Reach(ctx context.Context) error {
	err := t.validate()

	switch {
	case err != nil:
	case t.Kind == SMTP:
		err = t.reachMail(ctx)
	case t.Kind == Shoutrrr:
		return ErrUnseen
	default:
		err = t.reachWeb(ctx)
	}

	if err != nil {
		return errors.New(t.detail(err))
	}

	return nil
}

func (t *Target) reachWeb(ctx context.Context) error {
	at, err := url.Parse(string(t.URL))
	if err != nil {
		return errors.New("its URL is none")
	}

	front := url.URL{Scheme: at.Scheme, Host: at.Host, Path: "/"}

	r, err := http.NewRequestWithContext(ctx, http.MethodHead, front.String(), nil)
	if err != nil {
		return fmt.Errorf("asking for the first page: %w", err)
	}

	answer, err := newClient().Do(r)
	if err != nil {
		return err //nolint:wrapcheck // it says what was asked, and of whom
	}

	return answer.Body.Close()
}

func (t *Target) reachMail(ctx context.Context) error {
	return mailer{target: t, now: time.Now}.with(ctx, func(*smtp.Client) error { return nil })
}
