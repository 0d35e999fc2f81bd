package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"vetting/cmd/client"
)

// follow collects what is heard of a stream until enough has come.
func follow(t *testing.T, server http.Handler, query url.Values, enough int) (heard []string, lost int, err error) {
	t.Helper()

	s := httptest.NewServer(server)
	defer s.Close()

	api, err := client.New(s.URL, "vet_x", "")
	if err != nil {
		t.Fatal(err)
	}

	err = api.Follow(t.Context(), query, func(f client.Frame) error {
		heard = append(heard, fmt.Sprintf("%s %d %s", f.Kind, f.ID, f.Data))
		if len(heard) == enough {
			return client.ErrEnough
		}

		return nil
	}, func(error) { lost++ })

	return heard, lost, err
}

// A stream that breaks is taken up where it was, and nothing is told twice.
func TestABrokenStreamIsTakenUpWhereItWas(t *testing.T) {
	var asked []string

	server := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RawQuery)

		switch len(asked) {
		case 1:
			fmt.Fprint(w, "retry: 2000\n\n: beat\n\nid: 7\nevent: run\ndata: {\ndata: }\n\nevent: log\ndata: {}\n\nid: 8\nevent: stage\ndata: {\"half\":")
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			fmt.Fprint(w, "id: 8\nevent: stage\ndata: {}\n\n")
		}
	})

	heard, lost, err := follow(t, server, url.Values{"run": {"R"}}, 5)
	if err != nil {
		t.Fatal(err)
	}

	if got := strings.Join(heard, "; "); got != "open 0 ; run 7 {\n}; log 0 {}; open 0 ; stage 8 {}" {
		t.Error(got)
	}

	if got := strings.Join(asked, " "); got != "run=R after=7&run=R after=7&run=R" || lost != 2 {
		t.Error(got, lost)
	}
}

// Where there is nothing to wait for, nobody waits.
func TestARefusedStreamIsNotAskedForAgain(t *testing.T) {
	asked := 0

	_, lost, err := follow(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++

		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"code":"run/not-found","message":"There is no run."}}`)
	}), nil, 1)

	var fault *client.Fault
	if !errors.As(err, &fault) || fault.Code != "run/not-found" || asked != 1 || lost != 0 {
		t.Error(err, asked, lost)
	}
}

// What the listener makes of a frame ends the stream, and is not taken for a break.
func TestAnErrorOfTheListenerEndsTheStream(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "id: 1\nevent: run\ndata: {}\n\n") }))
	defer s.Close()

	api, err := client.New(s.URL, "", "")
	if err != nil {
		t.Fatal(err)
	}

	sad := errors.New("sad")
	if err := api.Follow(t.Context(), nil, func(client.Frame) error { return sad }, nil); !errors.Is(err, sad) {
		t.Error(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if err := api.Follow(ctx, nil, func(client.Frame) error { return nil }, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
