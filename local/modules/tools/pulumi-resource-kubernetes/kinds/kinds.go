// Package v2 stands in for a file of Pulumi's SDK, with which the provider registers what a chart or a file of YAML
// holds. That file knows a Go type for each kind of Kubernetes, which takes minutes to compile; the provider uses none.
package v2

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

type object struct{ pulumi.CustomResourceState }

func RegisterResource(ctx *pulumi.Context, apiVersion, kind, name string, props pulumi.Input,
	opts ...pulumi.ResourceOption) (pulumi.CustomResource, error) {
	if !strings.Contains(apiVersion, "/") {
		apiVersion = "core/" + apiVersion
	}
	var registered object
	err := ctx.RegisterResource(fmt.Sprintf("kubernetes:%s:%s", apiVersion, kind), name, props, &registered, opts...)
	if err != nil {
		return nil, err
	}
	return &registered, nil
}
