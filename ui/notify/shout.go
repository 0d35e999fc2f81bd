package notify

import (
	"context"
	"errors"
	"fmt"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// shout sends by any of the services that shoutrrr knows.
type shout struct {
	service types.Service
	busy    chan struct{} // holds one for each call under way
}

// maxShouts bounds the calls under way: the library knows no context, so that one
// to a service that hangs goes on after its message was given up.
const maxShouts = 4

// newShout reads the URL. The error does not repeat it: it is a secret.
func newShout(t *Target) (s sender, err error) {
	defer func() {
		if recover() != nil {
			s, err = nil, errors.New("url: shoutrrr cannot read it")
		}
	}()

	service, err := (&router.ServiceRouter{}).Locate(string(t.URL))
	if err != nil {
		return nil, errors.New("url: shoutrrr cannot read it; see its documentation for how the service's URLs are written")
	}

	return shout{service: service, busy: make(chan struct{}, maxShouts)}, nil
}

// send waits for the library or for the context, whichever is first.
func (s shout) send(ctx context.Context, m message) error {
	select {
	case s.busy <- struct{}{}:
	default:
		return errors.New("earlier messages still hang in the service")
	}

	done := make(chan error, 1)

	go func() {
		defer func() { <-s.busy }()

		done <- s.call(m)
	}()

	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s shout) call(m message) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the service broke: %v", r)
		}
	}()

	text := m.body()
	if m.link != "" {
		text += "\n\n" + m.link
	}

	return s.service.Send(text, &types.Params{"title": m.title})
}
