package ui_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	api "vetting/cmd/client"
	"vetting/core"
	"vetting/ui"
	"vetting/ui/canned"
)

const held = core.RunID("01JD4X00000000000000000012") // of rack3-u18

// lab is a console with a way to a held host, whose SSH server is this test.
type lab struct {
	*bench

	client *api.Client
	token  string
	hosts  chan *net.TCPConn // connections that the host took
	dials  atomic.Int32
	stop   func() time.Duration // of the console
}

// openLab lets the console listen, with TLS, and answers what is dialled.
func openLab(t *testing.T) *lab {
	t.Helper()

	server, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	l := &lab{hosts: make(chan *net.TCPConn, 8)}

	t.Cleanup(func() { _ = server.Close() })

	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}

			l.hosts <- conn.(*net.TCPConn)
		}
	}()

	cert := certificate(t)
	l.bench = open(t, canned.Full, func(cfg *ui.Config) {
		random(cfg)
		cfg.TLS = cert
		cfg.Dial = func(ctx context.Context, _ core.RunID) (net.Conn, error) {
			l.dials.Add(1)

			return (&net.Dialer{}).DialContext(ctx, "tcp", server.Addr().String())
		}
	})
	l.LookAtCallers(20 * time.Millisecond)
	l.token = l.bench.token("operate")

	base, stop := l.listen()
	l.stop = stop
	file := filepath.Join(t.TempDir(), "console.crt")

	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}

	if l.client, err = api.New(base, l.token, file); err != nil {
		t.Fatal(err)
	}

	return l
}

// tunnel opens one and returns both of its ends.
func (l *lab) tunnel() (mine *api.Tunnel, host *net.TCPConn) {
	l.t.Helper()

	mine, err := l.client.HoldTunnel(l.t.Context(), string(held))
	if err != nil {
		l.t.Fatal(err)
	}

	l.t.Cleanup(func() { _ = mine.Close() })

	select {
	case host = <-l.hosts:
	case <-time.After(10 * time.Second):
		l.t.Fatal("nobody came to the host")
	}

	l.t.Cleanup(func() { _ = host.Close() })

	return mine, host
}

// ends waits until whoever reads hears nothing more.
func ends(t *testing.T, what string, r io.Reader, limit interface{ SetReadDeadline(t time.Time) error }) {
	t.Helper()

	if err := limit.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}

	if _, err := io.Copy(io.Discard, r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s is still open", what)
	}
}

func TestATunnelCarriesBytesAsTheyAre(t *testing.T) {
	t.Parallel()

	l := openLab(t)
	mine, host := l.tunnel()

	chance := rand.NewChaCha8([32]byte{1})
	there, back := make([]byte, 10<<20), make([]byte, 10<<20)
	_, _ = chance.Read(there)
	_, _ = chance.Read(back)

	sent := make(chan error, 1)

	go func() {
		_, err := mine.Write(there)
		sent <- errors.Join(err, mine.CloseWrite()) // the host hears the end, and can still answer
	}()

	got, err := io.ReadAll(host)
	if err != nil || !bytes.Equal(got, there) {
		t.Errorf("the host got %d bytes (%v), not the %d that were sent", len(got), err, len(there))
	}

	if err := <-sent; err != nil {
		t.Error(err)
	}

	go func() {
		_, err := host.Write(back)
		sent <- errors.Join(err, host.Close())
	}()

	got, err = io.ReadAll(mine)
	if err != nil || !bytes.Equal(got, back) {
		t.Errorf("%d bytes came back (%v), not the %d that were sent", len(got), err, len(back))
	}

	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestAnEndOfTheHostLeavesTheOtherDirectionOpen(t *testing.T) {
	t.Parallel()

	l := openLab(t)
	mine, host := l.tunnel()

	if _, err := host.Write([]byte("SSH-2.0-x\r\n")); err != nil {
		t.Fatal(err)
	}

	if err := host.CloseWrite(); err != nil {
		t.Fatal(err)
	}

	if got, err := io.ReadAll(mine); string(got) != "SSH-2.0-x\r\n" || err != nil {
		t.Errorf("%q %v", got, err)
	}

	if _, err := mine.Write([]byte("still here")); err != nil {
		t.Error(err)
	}

	if err := mine.CloseWrite(); err != nil {
		t.Error(err)
	}

	if got, err := io.ReadAll(host); string(got) != "still here" || err != nil {
		t.Errorf("%q %v", got, err)
	}
}

func TestATunnelEndsWithTheHoldTheTokenAndTheConsole(t *testing.T) {
	t.Parallel()

	for name, end := range map[string]func(*lab){
		"the run is released": func(l *lab) { l.change(func(run *core.Run) { run.State = core.StateReleased }) },
		"the stage is run again": func(l *lab) {
			l.change(func(run *core.Run) { run.State, run.Hold = core.State(core.SpecValidate), nil })
		},
		"another boot opened the hold": func(l *lab) {
			l.change(func(run *core.Run) { run.Hold.Epoch++ })
		},
		"the console stops": func(l *lab) { l.stop() },
		"the token may only read": func(l *lab) {
			if _, err := l.ledger.Update(l.t.Context(), func(txn core.Txn) error {
				all := map[string]map[string]any{}

				err := txn.Scan(core.TableToken, core.Query{}, func(key string, decode func(any) error) error {
					one := map[string]any{}
					all[key] = one

					return decode(&one)
				})

				for key, one := range all {
					one["scope"] = "read"
					err = errors.Join(err, txn.Put(core.TableToken, key, one))
				}

				return err
			}); err != nil {
				l.t.Fatal(err)
			}
		},
		"the token is revoked": func(l *lab) {
			if _, err := l.ledger.Update(l.t.Context(), func(txn core.Txn) error {
				return txn.Scan(core.TableToken, core.Query{}, func(key string, _ func(any) error) error { return txn.Delete(core.TableToken, key) })
			}); err != nil {
				l.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			l := openLab(t)
			mine, host := l.tunnel()
			l.happen(3, held) // which ends nothing

			if _, err := mine.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}

			if _, err := io.ReadFull(host, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}

			end(l)
			ends(t, "the operator's end", mine, mine)
			ends(t, "the host's end", host, host)
		})
	}
}

// change rewrites the held run and rings.
func (l *lab) change(edit func(*core.Run)) {
	l.t.Helper()

	if _, err := l.ledger.Update(l.t.Context(), func(txn core.Txn) error {
		var run core.Run

		if err := txn.Get(core.TableRun, string(held), &run); err != nil {
			return err
		}

		edit(&run)

		return txn.Put(core.TableRun, string(held), run)
	}); err != nil {
		l.t.Fatal(err)
	}

	l.happen(1, held)
}

func TestATunnelIsRefusedWhereNobodyMayLook(t *testing.T) {
	t.Parallel()

	l := openLab(t)
	path := func(run core.RunID) string { return "/api/v1/runs/" + string(run) + "/hold/tunnel" }
	ask := []string{"Connection", "keep-alive, Upgrade", "Upgrade", "vetting-tunnel"}
	operator, reader := "Bearer "+l.token, "Bearer "+l.bench.token("read")
	cookie := l.signIn()

	for name, c := range map[string]struct {
		run    core.RunID
		status int
		code   string
		header []string
	}{
		"nobody":                  {held, http.StatusUnauthorized, "account/nobody", ask},
		"who may only look":       {held, http.StatusForbidden, "account/not-allowed", append(ask, "Authorization", reader)},
		"a page of another site":  {held, http.StatusForbidden, "console/other-site", append(ask, "Cookie", cookie, "Sec-Fetch-Site", "cross-site")},
		"without Upgrade":         {held, http.StatusUpgradeRequired, "console/http-426", []string{"Authorization", operator}},
		"another protocol":        {held, http.StatusUpgradeRequired, "console/http-426", []string{"Authorization", operator, "Connection", "Upgrade", "Upgrade", "websocket"}},
		"a run that goes on":      {canned.Run, http.StatusConflict, "hold/wrong-state", append(ask, "Authorization", operator)},
		"a run that is over":      {canned.Run[:25] + "4", http.StatusConflict, "hold/wrong-state", append(ask, "Authorization", operator)},
		"a run that there is not": {canned.Run[:25] + "8", http.StatusNotFound, "run/not-found", append(ask, "Authorization", operator)},
		"what is no run":          {"nonsense", http.StatusNotFound, "run/not-found", append(ask, "Authorization", operator)},
	} {
		got := l.ask("GET", path(c.run), "", c.header...)
		if got.status != c.status || !strings.Contains(got.body, `"code":"`+c.code+`"`) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}

	l.change(func(run *core.Run) { run.Hold = nil })

	if got := l.ask("GET", path(held), "", append(ask, "Authorization", operator)...); got.status != http.StatusConflict || !strings.Contains(got.body, "hold/not-open") {
		t.Errorf("a hold that no agent opened: %d %s", got.status, got.body)
	}

	if n := l.dials.Load(); n != 0 {
		t.Errorf("a host was called %d times", n)
	}
}

func TestAHostThatDoesNotAnswerIsNamed(t *testing.T) {
	t.Parallel()

	for name, dial := range map[string]func(context.Context, core.RunID) (net.Conn, error){
		"hold/unreached": func(context.Context, core.RunID) (net.Conn, error) { return nil, errors.New("connection refused") },
		"hold/wrong-state": func(context.Context, core.RunID) (net.Conn, error) {
			return nil, core.NewProblem(core.ErrConflict, "hold/wrong-state", "It is released.")
		},
	} {
		b := open(t, canned.Full, func(cfg *ui.Config) { cfg.Dial = dial })

		got := b.ask("GET", "/api/v1/runs/"+string(held)+"/hold/tunnel", "", "Authorization", "Bearer "+b.token("operate"), "Connection", "Upgrade", "Upgrade", "vetting-tunnel")
		if got.status != http.StatusConflict || !strings.Contains(got.body, name) || strings.Contains(got.body, "refused\"") {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
}

func TestWhoOpensATunnelIsWrittenDown(t *testing.T) {
	t.Parallel()

	l := openLab(t)
	l.tunnel()

	got := l.ask("GET", "/api/v1/audit?action=hold.tunnel", "", "Authorization", "Bearer "+l.bench.token("admin"))
	for _, want := range []string{`"who":"token golden"`, `"object":"run/` + string(held) + `"`, "opened a tunnel to the held host rack3-u18", "from 127.0.0.1"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the audit trail lacks %q: %s", want, got.body)
		}
	}
}
