//go:build bench && linux

package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vetting/cmd/client"
	"vetting/cmd/vetting-lab/lab"
	"vetting/cmd/vetting-lab/load"
	"vetting/core"
	"vetting/core/route"
	"vetting/ui/browser"
)

// An event on its way to people: how long after a host was given another name that is told to
// every one of the readers that follow, and is read on the open page of the rack in a browser.
// It begins before the name is sent, so that TLS, the ledger's commit and, of the page, fetching
// itself anew are in it. The peer is a quarter of a second, in which nobody notices it.
const (
	liveHosts   = 20
	liveReaders = 99 // beside the browser
	liveEvents  = 200
	liveEach    = 8                      // streams that one caller may have
	livePace    = 400 * time.Millisecond // pages fetch themselves four times a second at most
	goalLive    = 250.0                  // ms
	liveName    = "live-"                // and the number of the event
)

func TestBenchLive(t *testing.T) {
	const stream, page = "console/event-to-stream-p99", "console/event-to-page-p99"

	wanted(t, stream, page)

	ctx := limited(t, 10*time.Minute)
	server, _ := cores(t)
	rack := openRack(ctx, t, lab.ApplianceOptions{CPUs: server})

	for i := range liveHosts {
		if _, err := rack.API.Register(ctx, fmt.Sprintf("host-%d", i), load.MAC(i), core.PowerManual); err != nil {
			t.Fatal(err)
		}
	}

	admin, err := rack.Appliance.Token(ctx, route.Admin)
	if err != nil {
		t.Fatal(err)
	}

	tab := browser.Open(t, admin)
	browser.Do(t, tab, chromedp.Navigate(rack.Appliance.Console()), chromedp.Evaluate(noteNames, nil))
	browser.Become(t, tab, "the stream", `document.querySelector(".live").dataset.state === "on"`)

	f := follow(ctx, t, rack, admin)
	began := f.rename(ctx, t)

	told := f.gather(ctx, t, began)
	browser.Become(t, tab, "the last name", fmt.Sprintf("window.__seen[%d]", liveEvents-1))

	var seen []float64

	for text, at := range browser.Told[map[string]float64](t, tab, "window.__seen") {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}

		seen = append(seen, at-float64(began[n].UnixMicro())/1000)
	}

	lately(t, stream, told)
	lately(t, page, seen)

	if len(seen) < liveEvents*95/100 { // two names may be read at once, when a page took long
		t.Errorf("the page showed %d of %d names", len(seen), liveEvents)
	}
}

// lately prints how late something was in all but one of a hundred times.
func lately(t *testing.T, name string, all []float64) {
	t.Helper()
	slices.Sort(all)
	t.Logf("%s: %d times, the last after %.1f ms", name, len(all), all[len(all)-1])
	figure(name, "ms", []float64{all[len(all)*99/100]}, []float64{goalLive}, false, fmt.Sprintf("peer=budget readers=%d p50=%.1f", liveReaders+1, median(all)))
}

// noteNames notes in window.__seen when each name is first to be read on the page, in ms.
const noteNames = `window.__seen = {};
new MutationObserver(() => {
	const n = document.querySelector("main").textContent.match(/` + liveName + `(\d+)/);
	if (n && !(n[1] in __seen)) __seen[n[1]] = performance.timeOrigin + performance.now();
}).observe(document.body, {subtree: true, childList: true, characterData: true}); 0`

// heard is when a reader was told of an event.
type heard struct {
	n  int
	at time.Time
}

// followers are many readers of an appliance, each with a stream of its own.
type followers struct {
	api  *client.Client
	came chan heard
	open chan struct{}
}

// follow opens the streams, and returns once all are open.
func follow(ctx context.Context, t *testing.T, rack *lab.Rack, admin string) *followers {
	t.Helper()

	cert := filepath.Join(rack.Appliance.DataDir(), "console.crt")
	api := func(token string) *client.Client {
		c, err := client.New(rack.Appliance.Console(), token, cert)
		if err != nil {
			t.Fatal(err)
		}

		return c
	}
	f := &followers{api: api(admin), came: make(chan heard, liveReaders*liveEvents), open: make(chan struct{}, liveReaders)}

	var token route.TokenCreated

	for i := range liveReaders {
		if i%liveEach == 0 {
			if err := f.api.Call(ctx, client.Request{Route: "tokens.create", Body: route.TokenCreate{Name: fmt.Sprintf("reader-%d", i), Scope: route.Read}}, &token); err != nil {
				t.Fatal(err)
			}
		}

		reader := api(token.Secret)

		go func() {
			if err := reader.Follow(ctx, nil, f.hear, nil); err != nil && ctx.Err() == nil {
				t.Errorf("a reader's stream: %v", err)
			}
		}()
	}

	for range liveReaders {
		select {
		case <-f.open:
		case <-ctx.Done():
			t.Fatal("the streams do not open")
		}
	}

	return f
}

func (f *followers) hear(frame client.Frame) error {
	at := time.Now()

	switch frame.Kind {
	case "open":
		f.open <- struct{}{}
	case string(core.EventHost):
		event, err := frame.Event()
		if err != nil {
			return err
		}

		var change core.HostChange
		if err := json.Unmarshal(event.Data, &change); err != nil {
			return err
		}

		number, ours := strings.CutPrefix(change.Name, liveName)
		if !ours {
			return nil
		}

		n, err := strconv.Atoi(number)
		if err != nil {
			return err
		}

		f.came <- heard{n, at}
	case "bye", "resync":
		return errors.New("it was told " + frame.Kind)
	}

	return nil
}

// rename gives a host one name after another, and returns when each was sent.
func (f *followers) rename(ctx context.Context, t *testing.T) []time.Time {
	t.Helper()

	began := make([]time.Time, liveEvents)
	pace := time.NewTicker(livePace)

	defer pace.Stop()

	for n := range began {
		<-pace.C

		name := liveName + strconv.Itoa(n)
		began[n] = time.Now()

		if err := f.api.Call(ctx, client.Request{Route: "hosts.update", Params: []string{load.MAC(0)}, Body: route.HostPatch{Name: &name}}, nil); err != nil {
			t.Fatal(err)
		}
	}

	return began
}

// gather returns how long each event took to each reader, in ms. None may be missing.
func (f *followers) gather(ctx context.Context, t *testing.T, began []time.Time) (took []float64) {
	t.Helper()

	for range liveReaders * liveEvents {
		select {
		case h := <-f.came:
			took = append(took, h.at.Sub(began[h.n]).Seconds()*1000)
		case <-ctx.Done():
			t.Fatalf("%d of %d times a reader was told", len(took), liveReaders*liveEvents)
		}
	}

	return took
}
