package power_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vetting/core"
	signing "vetting/core/webhook"
	"vetting/netboot/power"
)

func TestAMachineIsSwitchedByWebhook(t *testing.T) {
	t.Parallel()

	var orders []string

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		orders = append(orders, string(body))

		id := r.Header.Get(signing.HeaderID)
		if !strings.HasPrefix(id, "msg_") || !signing.Verify(secret, id, time.Unix(1614265330, 0), body, r.Header.Get(signing.HeaderSignature)) ||
			r.Header.Get(signing.HeaderTimestamp) != "1614265330" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
		}

		switch {
		case strings.Contains(string(body), `"action":"state"`):
			fmt.Fprint(w, `{"state":"on"}`)
		case strings.Contains(string(body), `"action":"pxe"`):
			fmt.Fprint(w, `{"boot":"pxe"}`)
		case strings.Contains(string(body), `"action":"cycle"`):
			w.WriteHeader(http.StatusNotImplemented)
		default:
			fmt.Fprint(w, "done")
		}
	}))
	t.Cleanup(server.Close)

	target := power.Target{Method: power.Webhook, URL: server.URL + "/hook/T0K3N", Secret: secret, MACs: []core.MAC{"52:54:00:12:34:56"}}
	way := wayTo(t, target, long)

	mustBe(t, way.On(t.Context()), power.OK)
	mustBe(t, way.Off(t.Context()), power.OK)
	mustBe(t, way.OneTimePXE(t.Context()), power.OK)
	mustState(t, way, power.On)
	mustBe(t, way.Cycle(t.Context()), power.Unsupported)

	if want := `{"type":"power","action":"on","host":"rack1-u07","mac":"52:54:00:12:34:56","macs":["52:54:00:12:34:56"]}`; orders[0] != want {
		t.Errorf("the order is %s", orders[0])
	}

	target.Secret = "another secret, as long"
	err := wayTo(t, target, long).On(t.Context())
	mustBe(t, err, power.WrongPassword)

	server.Close()

	err = wayTo(t, target, long).On(t.Context())
	mustBe(t, err, power.Unreachable)

	if strings.Contains(err.Error(), "T0K3N") {
		t.Errorf("the path of the URL is told: %v", err)
	}
}

func TestAWebhookThatOnlySaysYesIsNotBelieved(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	t.Cleanup(server.Close)

	way := wayTo(t, power.Target{Method: power.Webhook, URL: server.URL, Secret: secret}, long)
	mustBe(t, way.OneTimePXE(t.Context()), power.NotKept)

	_, err := way.State(t.Context())
	mustBe(t, err, power.Unsupported)
}

// The address may be any that the appliance reaches, so what answers there is not
// told on.
func TestAnAnswerThatIsNoSuccessIsNotTold(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "internal matters", http.StatusBadGateway)
	}))
	t.Cleanup(server.Close)

	err := wayTo(t, power.Target{Method: power.Webhook, URL: server.URL, Secret: secret}, long).On(t.Context())
	mustBe(t, err, power.Failed)

	if err == nil || strings.Contains(err.Error(), "internal matters") || !strings.Contains(err.Error(), "status 502") {
		t.Errorf("told is %v", err)
	}
}

func TestALinkLocalAddressIsNotCalled(t *testing.T) {
	t.Parallel()

	for _, host := range []string{"169.254.169.254", "[::ffff:169.254.169.254]", "[fe80::1%25lo]"} {
		for _, target := range []power.Target{
			{Method: power.Webhook, URL: "http://" + host + "/latest", Secret: secret},
			{Method: power.Redfish, Address: "http://" + host, User: user, Password: password, Insecure: true},
		} {
			notCalled(t, target, "link-local")
		}
	}

	for _, host := range []string{"169.254.169.254", "::ffff:169.254.169.254", "[fe80::1]:6230"} {
		notCalled(t, power.Target{Method: power.IPMI, Address: host, User: user, Password: password}, "link-local")
	}
}

func TestTheMetadataOfACloudIsNotCalled(t *testing.T) {
	t.Parallel()

	for _, host := range []string{"100.100.100.200", "[fd00:ec2::254]"} {
		for _, target := range []power.Target{
			{Method: power.Webhook, URL: "http://" + host + "/latest", Secret: secret},
			{Method: power.Redfish, Address: "http://" + host, User: user, Password: password, Insecure: true},
			{Method: power.IPMI, Address: host + ":623", User: user, Password: password},
		} {
			notCalled(t, target, "the address of a cloud's metadata")
		}
	}
}

// notCalled checks that a call is refused before anything is sent.
func notCalled(t *testing.T, target power.Target, because string) {
	t.Helper()

	err := wayTo(t, target, long).On(t.Context())
	mustBe(t, err, power.Failed)

	if err == nil || !strings.Contains(err.Error(), because) {
		t.Errorf("%s %s by %s: %v", target.Address, target.URL, target.Method, err)
	}
}
