package route

import (
	"fmt"

	"vetting/core"
)

// Role is what a person may do; each includes those before it.
type Role string

// The roles, from least to most.
const (
	Viewer        Role = "viewer"   // look
	Operator      Role = "operator" // register hosts, start and end runs
	Administrator Role = "admin"    // let people and programs in
)

// Roles returns all of them in their order.
func Roles() []Role { return []Role{Viewer, Operator, Administrator} }

// Scope is what a person with the role may do of the API. An unknown role may do
// nothing.
func (r Role) Scope() Scope {
	switch r {
	case Viewer:
		return Read
	case Operator:
		return Operate
	case Administrator:
		return Admin
	default:
		return None
	}
}

// ParseRole reads a role that can be given to a person.
func ParseRole(s string) (Role, error) {
	if r := Role(s); r.Scope() != None {
		return r, nil
	}

	return "", core.NewProblem(core.ErrInvalid, "account/bad-role",
		fmt.Sprintf("%.40q is not a role; choose viewer, operator or admin.", s))
}
