// Gallery serves the console with canned data on loopback, to look at its pages:
//
//	go run ./ui/gallery -scene full
//
// It prints a one-time link, and the address of a door beside it that needs no
// login, for screenshots.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"time"

	"vetting/core/coretest"
	"vetting/core/retention"
	bell "vetting/core/signal"
	"vetting/ui"
	"vetting/ui/canned"
)

func main() {
	scene := flag.String("scene", "full", "empty, full, failed, hostile, crowd, disks, long or broken")
	play := flag.Bool("play", false, "let the run go on, a step every second")
	addr := flag.String("addr", "127.0.0.1:8444", "loopback address to listen on")

	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	if err := run(ctx, canned.Scene(*scene), *addr, *play); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // the context has nothing to clean up
	}
}

func run(ctx context.Context, scene canned.Scene, addr string, play bool) error {
	ledger, bells := coretest.NewLedger(), bell.New()
	if err := canned.Fill(ctx, ledger, scene); err != nil {
		return err
	}

	orders := &canned.Commands{}
	if scene == canned.Long {
		orders.More = canned.LongProfiles()
	}

	cfg := ui.Config{
		Ledger: ledger, Commands: orders, Logs: canned.Lines(scene), Artifacts: canned.Files{}, ReportKeys: canned.Keys{}, Bell: bells,
		Appliance: canned.Appliance(), Retention: retention.Default, Addr: addr, Now: canned.Now, Rand: rand.Reader, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Counts:   ui.Counts{Slots: func() int { return 3 }},
		Netboot:  canned.Netboot,
		Steering: &canned.Steering{Fixed: scene == canned.Failed, Hostile: scene == canned.Hostile},
		Notifier: canned.Notifier{}, Expiring: canned.Expiring, Settings: canned.Settings, Backups: canned.Backups{},
		Manual: []ui.ManualPage{{Topic: "operations", Title: "Operations", Text: canned.ManualText, HTML: canned.ManualHTML}},
		Installed: &ui.Installed{
			Handler: http.NotFoundHandler(), Mine: func(string, string, func(string) string) bool { return false }, Lines: lines,
		},
	}
	if scene == canned.Broken {
		cfg.Trouble = canned.Trouble()
	}

	console, err := ui.New(cfg)
	if err != nil {
		return err
	}

	link, err := console.SetupLink(ctx)
	if err != nil {
		return err
	}

	token, err := console.CreateToken(ctx, "gallery", "admin")
	if err != nil {
		return err
	}

	fmt.Fprintln(os.Stdout, link)

	parts := []func() error{
		func() error { return console.Run(ctx) },
		func() error { return door(ctx, addr, token) },
	}
	if play {
		parts = append(parts, func() error { return canned.Play(ctx, ledger, bells, time.Tick(time.Second)) })
	}

	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() { ended <- part() }()
	}

	return <-ended // the process ends with the first of them
}

// door is a proxy on the next port that is signed in already.
func door(ctx context.Context, addr, token string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("reading the address: %w", err)
	}

	beside := netip.AddrPortFrom(at.Addr(), at.Port()+1)
	server := &http.Server{
		Addr: beside.String(), ReadHeaderTimeout: time.Second,
		Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: addr})
			r.Out.Header.Set("Authorization", "Bearer "+token)
		}},
	}

	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()

	fmt.Fprintf(os.Stdout, "http://%s\n", beside)

	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("opening the door: %w", err)
	}

	return nil
}

// lines are what the inbox offers to paste.
func lines(host string) []ui.QuickLine {
	return []ui.QuickLine{{
		For:  "For machines that reach this console:",
		Line: "curl -fsSk --pinnedpubkey 'sha256//bm90IGEga2V5LCBvbmx5IHRvIGxvb2sgYXQgaXQ=' 'https://" + host + "/register/quick.sh' | sudo sh -s -- 4f3c",
	}}
}
