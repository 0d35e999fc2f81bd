package route

import (
	"time"

	"vetting/core"
)

// Outside begins the name of whoever signs in at a provider of OpenID Connect. No user
// with a password here has a colon in their name.
const Outside = "oidc:"

// User is somebody who may sign in.
type User struct {
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	Active    bool      `json:"active"` // has set a password
	CreatedAt time.Time `json:"created_at"`
	ChangedAt time.Time `json:"changed_at,omitzero"` // of the password

	TOTP       bool `json:"totp"`                     // a code of an authenticator is asked for, too
	SpareCodes int  `json:"recovery_codes,omitempty"` // that are left
	Outside    bool `json:"outside,omitempty"`        // signs in at a provider, which keeps password and second factor
}

// UserList is everybody who may sign in.
type UserList struct {
	Users []User `json:"users"`
}

// UserCreate makes a user.
type UserCreate struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	// Password of whoever signed in more than five minutes ago; tokens need none.
	Password string `json:"password,omitempty"`
}

// UserPatch changes what is given and leaves the rest.
type UserPatch struct {
	Role *Role `json:"role,omitempty"`
	// Password of whoever signed in more than five minutes ago; tokens need none.
	Password string `json:"password,omitempty"`
}

// UserInvited is the only answer that carries the one-time link.
type UserInvited struct {
	User

	SetupURL string `json:"setup_url"` // as the caller reaches the console
}

// AuditList is a page of the audit trail, the newest entry first.
type AuditList struct {
	Entries       []core.Audit `json:"entries"`
	NextPageToken string       `json:"next_page_token,omitempty"`
}

// Setting is one key of the configuration in force. A secret has no value.
type Setting struct {
	Key    string `json:"key"` // "netboot.interface"
	Value  string `json:"value"`
	Origin string `json:"origin,omitempty"` // "flag", "environment", "file", "console" or "default"
	// At is where that is: "--interface", "VETTING_NETBOOT_INTERFACE" or
	// "/etc/vetting/vetting.yaml:12"; absent: nowhere in particular.
	At string `json:"at,omitempty"`
	// Pending is what the file says since it was read again, of a key that takes a
	// restart; absent: what is in force.
	Pending string `json:"pending,omitempty"`
}

// SettingList is the configuration in force, by key.
type SettingList struct {
	Settings []Setting `json:"settings"`
}
