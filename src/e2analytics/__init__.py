"""Find the men on testosterone whose anastrozole pushes estradiol below a bone-protective range."""
