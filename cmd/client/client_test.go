package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vetting/cmd/client"
	"vetting/core/route"
)

func TestEveryRouteIsCalledAsTheTableSays(t *testing.T) {
	var got *http.Request

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = w.Write([]byte("{}"))
	}))
	defer server.Close()

	c, err := client.New(server.URL, "vet_secret", "")
	if err != nil {
		t.Fatal(err)
	}

	for _, r := range route.Table() {
		params := make([]string, len(r.Params()))
		for i := range params {
			params[i] = "52:54:00:00:00:01"
		}

		if err := c.Call(t.Context(), client.Request{Route: r.Name, Params: params, Query: url.Values{"a": {"b c"}}}, nil); err != nil {
			t.Fatal(err)
		}

		path, err := route.Path(r.Name, params...)
		if err != nil {
			t.Fatal(err)
		}

		if got.Method != r.Method || got.URL.EscapedPath() != path || got.URL.RawQuery != "a=b+c" {
			t.Errorf("%s came as %s %s?%s", r.Name, got.Method, got.URL.EscapedPath(), got.URL.RawQuery)
		}

		if got.Header.Get("Authorization") != "Bearer vet_secret" || got.Header.Get("Content-Type") != r.ReqType {
			t.Errorf("%s came with headers %v", r.Name, got.Header)
		}
	}
}

func TestABadAnswerIsAFaultWithCodeAndSentence(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusConflict)
		_ = json.NewEncoder(w).Encode(route.ErrorBody{Error: route.ErrorDetail{Code: "host/taken", Message: string(body)}})
	}))
	defer server.Close()

	c, err := client.New(server.URL+"/", "", "")
	if err != nil {
		t.Fatal(err)
	}

	var fault *client.Fault

	err = c.Call(t.Context(), client.Request{Route: "hosts.create", Body: route.HostCreate{Name: "a"}}, nil)
	if !errors.As(err, &fault) || fault.Status != http.StatusConflict || fault.Code != "host/taken" || !strings.Contains(fault.Message, `"name":"a"`) {
		t.Errorf("got %v", err)
	}

	if err := c.Call(t.Context(), client.Request{Route: "hosts.levitate"}, nil); err == nil || !strings.Contains(err.Error(), "hosts.levitate") {
		t.Errorf("an unknown route gives %v", err)
	}
}

func TestOnlyThePinnedCertificateIsTrusted(t *testing.T) {
	served := false
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))

	defer server.Close()

	own := filepath.Join(t.TempDir(), "own.crt")
	writePEM(t, own, server.Certificate().Raw)

	other := filepath.Join(t.TempDir(), "other.crt")
	writePEM(t, other, stranger(t))

	for file, trusted := range map[string]bool{own: true, other: false} {
		served = false

		c, err := client.New(server.URL, "vet_secret", file)
		if err != nil {
			t.Fatal(err)
		}

		err = c.Call(t.Context(), client.Request{Route: "hosts.list"}, nil)
		if (err == nil) != trusted || served != trusted {
			t.Errorf("%s: error %v, request seen %t", filepath.Base(file), err, served)
		}
	}
}

// stranger is a certificate of another key, with the same names.
func stranger(t *testing.T) []byte {
	t.Helper()

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}

	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"example.com"}, NotAfter: time.Now().Add(time.Hour)}

	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}

	return der
}

func writePEM(t *testing.T, path string, der []byte) {
	t.Helper()

	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
