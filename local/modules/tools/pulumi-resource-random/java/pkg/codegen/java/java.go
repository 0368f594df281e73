// Package java stands in for Pulumi's translator of programs to Java, which a provider never calls: the bridge, which
// names it, and Pulumi ask for different versions of it.
package java

import (
	"errors"

	"github.com/hashicorp/hcl/v2"
	"github.com/pulumi/pulumi/pkg/v3/codegen/pcl"
)

func GenerateProgram(*pcl.Program) (map[string][]byte, hcl.Diagnostics, error) {
	return nil, nil, errors.New("this build of the provider translates no program to Java")
}
