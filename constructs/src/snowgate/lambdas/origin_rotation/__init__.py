"""The Lambda function that exchanges the secret between CloudFront and a load balancer."""
