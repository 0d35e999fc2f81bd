package ui_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"vetting/ui/canned"
	"vetting/ui/integration"
)

// fronted starts an nginx with what the program prints for it in front of the console at
// base, on a port of its own and without TLS, and returns its address.
func fronted(t *testing.T, base string) string {
	t.Helper()

	program, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}

	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	at := free.Addr().String()
	_ = free.Close()

	site := strings.NewReplacer("https://127.0.0.1:8443", base, "listen 443 ssl", "listen "+at).Replace(integration.Nginx)
	site = regexp.MustCompile(`(?m)^\s*ssl_certificate.*$`).ReplaceAllString(site, "")
	dir := t.TempDir()
	conf := fmt.Sprintf("daemon off; master_process off; pid %s/pid; error_log stderr;\nevents {}\nhttp {\naccess_log off; client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; "+
		"fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\n%s\n}\n", dir, site)

	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}

	said := &strings.Builder{}
	nginx := exec.CommandContext(t.Context(), program, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	nginx.Stdout, nginx.Stderr = said, said

	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		_ = nginx.Process.Kill()
		_ = nginx.Wait() // it was killed

		if t.Failed() {
			t.Log(said)
		}
	})

	for until := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at)
		if err == nil {
			_ = conn.Close()

			return "http://" + at
		}

		if time.Now().After(until) {
			t.Fatalf("nginx does not listen: %v", err)
		}
	}
}

// Behind the nginx that the documents tell people to set up, events come when they happen,
// orders of the console's own pages are carried out and those of others are not, and the
// terminal opens.
func TestTheConsoleBehindNginx(t *testing.T) {
	t.Parallel()

	c := openCell(t, nil)
	token := c.token("read")
	front := fronted(t, c.base)
	start := c.happen(1, canned.Run)

	in, _ := follow(t, front+"/api/v1/events", token, fmt.Sprint(start))
	for i := range uint64(3) {
		c.happen(1, canned.Run)

		if f := nextFrame(t, in); !strings.HasPrefix(f, fmt.Sprintf("id: %d\n", start+1+i)) {
			t.Errorf("got %q, want id %d", f, start+1+i)
		}
	}

	for origin, want := range map[string]int{front: http.StatusOK, "https://evil.test": http.StatusForbidden} {
		if got := c.order(front, origin); got != want {
			t.Errorf("an order of a page of %s: %d, want %d", origin, got, want)
		}
	}

	c.base = front
	s := c.enter(c.cookie)
	s.types("echo through$((1+1))\n")
	s.shows("through2")
}

// order asks what is done by a button, as a page of origin would.
func (c *cell) order(front, origin string) int {
	c.t.Helper()

	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, front+"/api/v1/hosts/"+string(canned.Host)+"/power", strings.NewReader(`{"op":"status"}`))
	if err != nil {
		c.t.Fatal(err)
	}

	req.Header.Set("Cookie", c.cookie)
	req.Header.Set("Origin", origin)
	req.Header.Set("Content-Type", "application/json")

	res, err := client().Do(req)
	if err != nil {
		c.t.Fatal(err)
	}

	_ = res.Body.Close()

	return res.StatusCode
}
