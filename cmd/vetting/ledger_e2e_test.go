//go:build e2e && linux

package main_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vetting/cmd/vetting-lab/lab"
)

// saysWhatIsWrong starts the appliance on a damaged ledger: it does not end, which
// would only have it started again and again; it answers people, and no machine.
// Then the ledger is mended, and all is as before.
func saysWhatIsWrong(t *testing.T, rack *lab.Rack) {
	appliance := rack.Appliance
	appliance.Kill()

	manifest := filepath.Join(appliance.DataDir(), "store", "ledger", "MANIFEST")

	whole, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(manifest, append([]byte("junk"), whole[4:]...), 0o600); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	if err := appliance.StartUntil(context.WithoutCancel(t.Context()), `OUT OF ORDER \[store/damaged\].*MANIFEST`); err != nil {
		t.Fatal(err)
	}

	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}

	for answered := false; !answered; {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, appliance.Console()+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}

		answer, err := client.Do(request)

		switch {
		case ctx.Err() != nil:
			t.Fatalf("the console never opened: %v", err)
		case err != nil:
			time.Sleep(50 * time.Millisecond)

			continue
		case answer.StatusCode != http.StatusServiceUnavailable:
			t.Errorf("/readyz: status %d", answer.StatusCode)
		}

		answered = true

		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
	}

	for _, port := range []string{"80", "443"} {
		if conn, err := appliance.Station.Dial(ctx, "tcp4", "10.77.0.1:"+port); err == nil {
			t.Errorf("port %s of the test NIC answers", port)

			_ = conn.Close()
		}
	}

	select {
	case <-appliance.Process().Done():
		t.Errorf("it ended: %v", appliance.Process().Wait(ctx))
	default:
	}

	appliance.Process().Stop()

	if err := os.WriteFile(manifest, whole, 0o600); err != nil {
		t.Fatal(err)
	}

	if err := appliance.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
}
