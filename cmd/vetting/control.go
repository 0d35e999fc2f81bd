package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vetting/core"
	sealing "vetting/ui/report/seal"
)

// controlSocket is where a running appliance takes orders from whoever may read
// its data directory: the ledger is locked while it runs.
const controlSocket = "control.sock"

// keysmith makes what opens the console (ui), and takes orders that only a person
// at the machine may give.
type keysmith interface {
	SetupLink(ctx context.Context) (string, error)
	CreateToken(ctx context.Context, name, scope string, life time.Duration) (string, error)
	// ResetTOTP takes the second factor of a user away.
	ResetTOTP(ctx context.Context, name string) error
	// CreateAdmin makes an administrator with a password.
	CreateAdmin(ctx context.Context, name, password string) error
	// ResetPassword gives a user another one, and ends their sessions.
	ResetPassword(ctx context.Context, name, password string) error
	// Backup writes a backup; see package backup.
	Backup(ctx context.Context, w io.Writer, keys bool) error
	// ImportReport takes over a signed report of another appliance, and says what came of it.
	ImportReport(ctx context.Context, text []byte, trust bool) (string, error)
	// Reload reads the configuration again and says what came of it.
	Reload(ctx context.Context) (string, error)
	// Controllers asks the hosts' management controllers whether their machines are on; JSON.
	Controllers(ctx context.Context) (string, error)
	// Settings tells what was set in the console, as JSON and without secrets.
	Settings(ctx context.Context) (string, error)
}

// controlRequest asks for a setup link, for a token when Scope is set, for a report to be
// taken over, or for the configuration to be read again.
type controlRequest struct {
	Name   string `json:"name,omitempty"`
	Scope  string `json:"scope,omitempty"`
	Life   int64  `json:"life_s,omitempty"` // of the token; 0: until it is revoked
	Reload bool   `json:"reload,omitempty"`

	Settings bool `json:"settings,omitempty"` // what was set in the console

	Controllers bool `json:"controllers,omitempty"` // what the hosts' management controllers say

	Report []byte `json:"report,omitempty"` // to be taken over, as it lies in its file
	Trust  bool   `json:"trust,omitempty"`  // its key, too

	ResetTOTP string `json:"reset_totp,omitempty"` // name of the user whose second factor goes

	Admin    string `json:"admin,omitempty"`          // name of the administrator who is made
	Reset    string `json:"reset_password,omitempty"` // name of the user whose password is set anew
	Password string `json:"password,omitempty"`       // of either
}

// mostControl bounds a request, in bytes: a report in base64.
const mostControl = 2 * sealing.MaxFile

type controlReply struct {
	Value string `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

// obey answers a control request.
func obey(ctx context.Context, smith keysmith, ask controlRequest) (string, error) {
	switch {
	case ask.Settings:
		return smith.Settings(ctx)
	case ask.Controllers:
		return smith.Controllers(ctx)
	case ask.Reload:
		return smith.Reload(ctx)
	case len(ask.Report) > 0:
		return smith.ImportReport(ctx, ask.Report, ask.Trust)
	case ask.ResetTOTP != "":
		return "the second factor of " + ask.ResetTOTP + " is gone: the password alone opens", smith.ResetTOTP(ctx, ask.ResetTOTP)
	case ask.Admin != "":
		return "administrator " + ask.Admin + " is made, and signs in with this password", smith.CreateAdmin(ctx, ask.Admin, ask.Password)
	case ask.Reset != "":
		return "the password of " + ask.Reset + " is set, and their sessions are over", smith.ResetPassword(ctx, ask.Reset, ask.Password)
	case ask.Scope != "":
		return smith.CreateToken(ctx, ask.Name, ask.Scope, time.Duration(ask.Life)*time.Second)
	default:
		return smith.SetupLink(ctx)
	}
}

// serveControl answers on the socket until ctx ends. The file mode is the lock:
// only the appliance's user and root get in.
func serveControl(ctx context.Context, dir string, smith keysmith, log *slog.Logger) error {
	path := filepath.Join(dir, controlSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("clearing the old control socket: %w", err)
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if most := len(unix.RawSockaddrUnix{}.Path) - 1; err != nil && len(path) > most {
		return fmt.Errorf("the path %s has %d bytes and a socket's may have %d (unix(7)): name a data directory with a shorter path (--data-dir; in a demo TMPDIR)", path, len(path), most)
	}

	if err != nil {
		return fmt.Errorf("opening the control socket: %w", err)
	}

	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("closing the control socket to others: %w", err)
	}

	server := &http.Server{
		Handler:           controlHandler(smith, log),
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })

	defer stop()

	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the control socket: %w", err)
	}

	return nil
}

func controlHandler(smith keysmith, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", orders(smith))
	mux.HandleFunc("POST /backup", func(w http.ResponseWriter, r *http.Request) {
		if err := smith.Backup(r.Context(), w, r.URL.Query().Has("keys")); err != nil {
			log.Error("no backup was made", slog.String("error", err.Error()))

			panic(http.ErrAbortHandler) // whoever asked has half of it, and must know
		}
	})

	return mux
}

func orders(smith keysmith) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var ask controlRequest

		var reply controlReply

		err := json.NewDecoder(io.LimitReader(r.Body, mostControl)).Decode(&ask)
		if err == nil {
			reply.Value, err = obey(r.Context(), smith, ask)
		}

		if err != nil {
			reply.Error = err.Error()
		}

		_ = json.NewEncoder(w).Encode(reply) // the asker is gone: nothing to tell it
	})
}

// askControl asks a running appliance. ErrNotFound: none runs on dir.
func askControl(ctx context.Context, dir string, ask controlRequest) (string, error) {
	body, err := json.Marshal(ask) //nolint:gosec // a password goes over a socket that only its owner opens
	if err != nil {
		return "", fmt.Errorf("writing the request: %w", err)
	}

	path := filepath.Join(dir, controlSocket)
	patience := 20 * time.Second

	if ask.Controllers {
		patience = controllersPatience
	}

	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
	}}

	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control/", bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("writing the request: %w", err)
	}

	answer, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("%w: no appliance answers at %s", core.ErrNotFound, path)
	}

	defer func() { _ = answer.Body.Close() }()

	var reply controlReply
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&reply); err != nil {
		return "", fmt.Errorf("reading the appliance's answer: %w", err)
	}

	if reply.Error != "" {
		return "", errors.New(reply.Error)
	}

	return reply.Value, nil
}
