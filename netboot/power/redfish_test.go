package power_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"vetting/netboot/power"
)

// service is an emulated Redfish service (DSP0266) with one machine or two.
type service struct {
	noSessions bool // 405 for POST /Sessions
	forgets    bool // the boot override it is given
	late       int  // so many reads until a boot override shows
	resets     string
	systems    []string
	refuse     int // status for every POST that resets
	before     func(http.ResponseWriter, *http.Request) bool
	links      map[string]string // replaces links

	mu       sync.Mutex
	powered  bool
	target   string
	enabled  string
	led      string // as it was last set
	resetLog []string
	sessions int
	opened   int
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()

	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("OData-Version", "4.0")

	if s.before != nil && s.before(w, r) {
		return
	}

	switch path := strings.TrimSuffix(r.URL.Path, "/"); {
	case path == "/redfish/v1":
		fmt.Fprintf(w, `{"@odata.id":"/redfish/v1/","Id":"RootService","Name":"Root","RedfishVersion":"1.6.0",
			"Systems":{"@odata.id":%q},"SessionService":{"@odata.id":"/redfish/v1/SessionService"},
			"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`, s.link("/redfish/v1/Systems"))
	case path == "/redfish/v1/SessionService/Sessions" && r.Method == http.MethodPost:
		s.login(w, r)
	case !s.knows(r):
		fail(w, http.StatusUnauthorized, "Base.1.0.NoValidSession", "There is no valid session; "+r.Header.Get("Authorization"))
	case strings.HasPrefix(path, "/redfish/v1/SessionService/Sessions/") && r.Method == http.MethodDelete:
		s.sessions--
		w.WriteHeader(http.StatusNoContent)
	case path == "/redfish/v1/Systems":
		var members []string
		for _, id := range s.systems {
			members = append(members, fmt.Sprintf(`{"@odata.id":%q}`, s.link("/redfish/v1/Systems/"+id)))
		}

		fmt.Fprintf(w, `{"@odata.id":"/redfish/v1/Systems","Members":[%s],"Members@odata.count":%d}`, strings.Join(members, ","), len(members))
	case strings.HasSuffix(path, "/Actions/ComputerSystem.Reset"):
		s.reset(w, r)
	case r.Method == http.MethodPatch:
		s.patch(w, r)
	default:
		s.system(w, path)
	}
}

func (s *service) link(usual string) string {
	if other := s.links[usual]; other != "" {
		return other
	}

	return usual
}

func fail(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"code":%q,"message":%q}}`, code, message)
}

func (s *service) login(w http.ResponseWriter, r *http.Request) {
	var wish struct{ UserName, Password string }

	switch err := json.NewDecoder(r.Body).Decode(&wish); {
	case s.noSessions:
		fail(w, http.StatusMethodNotAllowed, "Base.1.0.OperationNotAllowed", "no sessions here")
	case err != nil || wish.UserName != user || wish.Password != password:
		fail(w, http.StatusUnauthorized, "Base.1.0.ResourceAtUriUnauthorized", "the password "+wish.Password+" is wrong")
	default:
		s.sessions++
		s.opened++
		w.Header().Set("X-Auth-Token", "tok")
		w.Header().Set("Location", "/redfish/v1/SessionService/Sessions/1")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"@odata.id":"/redfish/v1/SessionService/Sessions/1","Id":"1"}`)
	}
}

func (s *service) knows(r *http.Request) bool {
	if name, pass, basic := r.BasicAuth(); basic && s.noSessions {
		return name == user && pass == password
	}

	return s.sessions > 0 && r.Header.Get("X-Auth-Token") == "tok"
}

func (s *service) reset(w http.ResponseWriter, r *http.Request) {
	var wish struct{ ResetType string }

	_ = json.NewDecoder(r.Body).Decode(&wish)

	if s.refuse != 0 {
		fail(w, s.refuse, "Base.1.0.GeneralError", "not today")

		return
	}

	s.resetLog = append(s.resetLog, wish.ResetType)
	s.powered = wish.ResetType != "ForceOff"
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) patch(w http.ResponseWriter, r *http.Request) {
	var wish struct {
		Boot         struct{ BootSourceOverrideTarget, BootSourceOverrideEnabled string }
		IndicatorLED string
	}

	err := json.NewDecoder(r.Body).Decode(&wish)
	if err == nil && wish.IndicatorLED != "" {
		s.led = wish.IndicatorLED

		fmt.Fprint(w, `{}`)

		return
	}

	if err != nil || wish.Boot.BootSourceOverrideTarget == "" {
		fail(w, http.StatusBadRequest, "Base.1.0.MalformedJSON", "what?")

		return
	}

	if !s.forgets {
		s.target, s.enabled = wish.Boot.BootSourceOverrideTarget, wish.Boot.BootSourceOverrideEnabled
	}

	w.WriteHeader(http.StatusOK)
	fmt.Fprint(w, `{}`)
}

func (s *service) system(w http.ResponseWriter, path string) {
	id := path[strings.LastIndex(path, "/")+1:]
	state, target, enabled := "Off", s.target, s.enabled

	if s.powered {
		state = "On"
	}

	if target != "" && s.late > 0 {
		s.late--
		target, enabled = "None", "Disabled"
	}

	resets := s.resets
	if resets == "" {
		resets = `"On","ForceOff","ForceRestart","PowerCycle"`
	}

	fmt.Fprintf(w, `{"@odata.id":%q,"Id":%q,"Name":"System","PowerState":%q,
		"Boot":{"BootSourceOverrideTarget":%q,"BootSourceOverrideEnabled":%q,"BootSourceOverrideTarget@Redfish.AllowableValues":["None","Pxe","Hdd"]},
		"Actions":{"#ComputerSystem.Reset":{"target":%q,"ResetType@Redfish.AllowableValues":[%s]}}}`,
		path, id, state, target, enabled, s.link(path+"/Actions/ComputerSystem.Reset"), resets)
}

func (s *service) did() string {
	s.mu.Lock()
	defer s.mu.Unlock()

	return fmt.Sprint(s.powered, s.target, s.enabled, s.resetLog, s.sessions)
}

// startService serves s and returns the target that leads to it.
func startService(t *testing.T, s *service) power.Target {
	t.Helper()

	if s.systems == nil {
		s.systems = []string{"1"}
	}

	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)

	sum := sha256.Sum256(server.Certificate().Raw)

	return power.Target{Method: power.Redfish, Address: server.URL, User: user, Password: password, Pin: hex.EncodeToString(sum[:])}
}

func TestAMachineIsSwitchedByRedfish(t *testing.T) {
	t.Parallel()

	for name, s := range map[string]*service{
		"with sessions":                    {},
		"with basic authentication only":   {noSessions: true},
		"with an override that shows late": {late: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			way := wayTo(t, startService(t, s), long)

			mustState(t, way, power.Off)
			mustBe(t, way.OneTimePXE(t.Context()), power.OK)
			mustBe(t, way.Cycle(t.Context()), power.OK)
			mustState(t, way, power.On)
			mustBe(t, way.On(t.Context()), power.OK) // is on: nothing is asked
			mustBe(t, way.Cycle(t.Context()), power.OK)
			mustBe(t, way.Off(t.Context()), power.OK)
			mustState(t, way, power.Off)

			if got, want := s.did(), "falsePxeOnce[On PowerCycle ForceOff]0"; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
				t.Errorf("the machine saw %s", got)
			}
		})
	}
}

func TestTheKindOfResetIsOneThatTheMachineLists(t *testing.T) {
	t.Parallel()

	s := &service{resets: `"ForceOn","ForceRestart"`}
	way := wayTo(t, startService(t, s), long)

	mustBe(t, way.On(t.Context()), power.OK)
	mustBe(t, way.Cycle(t.Context()), power.OK)
	mustBe(t, way.Off(t.Context()), power.Unsupported)

	if got := s.did(); !strings.Contains(got, "[ForceOn ForceRestart]") {
		t.Errorf("the machine saw %s", got)
	}
}

func TestFaultsOfRedfishAreToldApart(t *testing.T) {
	t.Parallel()

	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the credentials went elsewhere: %s %v", r.URL, r.Header)
	}))
	t.Cleanup(stranger.Close)

	hang := func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()

		return true
	}

	for name, c := range map[string]struct {
		service *service
		change  func(*power.Target)
		limit   time.Duration
		want    power.Outcome
	}{
		"a wrong password": {change: func(p *power.Target) { p.Password = "wrong-pa55word" }, want: power.WrongPassword},
		"a wrong password, basic": {
			service: &service{noSessions: true}, change: func(p *power.Target) { p.Password = "wrong-pa55word" }, want: power.WrongPassword,
		},
		"an iLO that answers 400 to a wrong password": {service: &service{before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"@Message.ExtendedInfo":[{"MessageId":"Base.0.10.UnauthorizedLoginAttempt"}],"code":"iLO.0.10.ExtendedInfo","message":"See @Message.ExtendedInfo"}}`)

			return true
		}}, want: power.WrongPassword},
		"a machine that hangs":               {service: &service{before: hang}, limit: soon, want: power.Timeout},
		"another certificate than pinned":    {change: func(p *power.Target) { p.Pin = strings.Repeat("00", 32) }, want: power.Untrusted},
		"a certificate nobody signed":        {change: func(p *power.Target) { p.Pin = "" }, want: power.Untrusted},
		"nobody listens":                     {change: func(p *power.Target) { p.Address = "127.0.0.1:1" }, want: power.Unreachable},
		"a user who may not":                 {service: &service{refuse: http.StatusForbidden}, want: power.Denied},
		"a machine that refuses":             {service: &service{refuse: http.StatusConflict}, want: power.Failed},
		"two machines and none named":        {service: &service{systems: []string{"1", "2"}}, want: power.Failed},
		"no machine of that name":            {change: func(p *power.Target) { p.System = "9" }, want: power.Failed},
		"no Redfish at all":                  {service: &service{before: func(w http.ResponseWriter, _ *http.Request) bool { http.NotFound(w, nil); return true }}, want: power.Unsupported},
		"an answer that is no JSON":          {service: &service{before: func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, "<html>"); return true }}, want: power.Failed},
		"an answer without end":              {service: &service{before: flood}, want: power.Failed},
		"a link that carries the token away": {service: &service{links: map[string]string{"/redfish/v1/Systems/1": "@" + strings.TrimPrefix(stranger.URL, "http://") + "/x"}}, want: power.Failed},
		"a reset target elsewhere":           {service: &service{links: map[string]string{"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset": ".evil.invalid/x"}}, want: power.Failed},
		"a redirect elsewhere": {service: &service{before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/redfish/v1/Systems" {
				return false
			}
			http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)

			return true
		}}, want: power.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			if c.service == nil {
				c.service = &service{}
			}

			target := startService(t, c.service)
			if c.change != nil {
				c.change(&target)
			}

			if c.limit == 0 {
				c.limit = long
			}

			err := wayTo(t, target, c.limit).On(t.Context())
			t.Log(err)
			mustBe(t, err, c.want)

			if strings.Contains(err.Error(), "wrong-pa55word") {
				t.Error("the password that was tried is told")
			}
		})
	}
}

// flood answers with 5 MiB of one JSON string.
func flood(w http.ResponseWriter, _ *http.Request) bool {
	fmt.Fprint(w, `{"Id":"`)

	for range 5 << 10 {
		if _, err := fmt.Fprint(w, strings.Repeat("x", 1<<10)); err != nil {
			return true
		}
	}

	fmt.Fprint(w, `"}`)

	return true
}

func TestAMachineIsFoundByItsName(t *testing.T) {
	t.Parallel()

	target := startService(t, &service{systems: []string{"1", "blade-2"}})
	target.System = "blade-2"
	mustState(t, wayTo(t, target, long), power.Off)
}

func TestAnOverrideThatIsNotKeptIsTold(t *testing.T) {
	t.Parallel()

	mustBe(t, wayTo(t, startService(t, &service{forgets: true}), long).OneTimePXE(t.Context()), power.NotKept)
}
